"""Lists of values under names, from YAML and JSON; each value is the text that stands there, whatever its type."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

from producer.prompts.templates.within import TemplateError

#: What a mapping in a list may say: `{text: red, weight: 2}`.
_TEXTS, _WEIGHT = ("text", "content"), "weight"


@dataclass(frozen=True)
class Entry:
    """One value of a list."""

    text: str
    line: int | None = None
    #: Where it is said apart from the text.
    weight: float | None = None
    #: Why it cannot be used.
    wrong: str | None = None


def read_yaml(text: str) -> Mapping[str, list[Entry]]:
    """Return the lists by their names, with `/` between the names of nested ones; "" for one without a name.

    Raises:
        TemplateError: beginning as what stands behind the file's name, if it is no YAML.
    """
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise TemplateError(f"{line}: broken YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise TemplateError(f": broken YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise TemplateError(": broken YAML: it is nested too deep") from None
    if root is None:
        return {}
    return dict(_lists(root, text, ()))


def read_json(text: str) -> Mapping[str, list[Entry]]:
    """Return the lists of JSON, as `read_yaml` does those of YAML.

    Raises:
        TemplateError: beginning as what stands behind the file's name, if it is no JSON.
    """
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise TemplateError(f", line {error.lineno}: broken JSON: {error.msg}") from None
    except (ValueError, RecursionError):
        raise TemplateError(": broken JSON: a number is too long or brackets are too deep") from None
    # JSON is YAML, but for tabs between its parts; in its strings there are none.
    return read_yaml(text.replace("\t", " "))


def _lists(node: yaml.Node, text: str, names: tuple[str, ...]) -> Iterator[tuple[str, list[Entry]]]:
    if isinstance(node, yaml.MappingNode) and _as_text(node, text) is None:
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield from _lists(value, text, (*names, key.value))
            else:
                yield "/".join(names), [_wrong(key, "a name is a list or a mapping")]
    elif isinstance(node, yaml.SequenceNode):
        yield "/".join(names), [entry for one in node.value if (entry := _entry(one, text)) is not None]
    elif (entry := _entry(node, text)) is not None:
        yield "/".join(names), [entry]


def _entry(node: yaml.Node, text: str) -> Entry | None:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        # JSON writes a character beyond the first 65,536 as two halves.
        value = node.value.encode("utf-16", "surrogatepass").decode("utf-16", "replace").strip()
        return Entry(value, line) if value else None
    if (written := _as_text(node, text)) is not None:
        return Entry(written, line)
    if isinstance(node, yaml.MappingNode):
        said = {key.value: one.value for key, one in node.value if isinstance(one, yaml.ScalarNode)}
        words = next((said[name] for name in _TEXTS if said.get(name)), None)
        if words is not None and len(said) == len(node.value) and not said.keys() - {*_TEXTS, _WEIGHT}:
            try:
                weight = float(said.get(_WEIGHT, 1))
            except ValueError:
                weight = -1.0
            if 0 <= weight < float("inf"):
                return Entry(words, line, weight)
            return _wrong(node, f"the weight {said[_WEIGHT]} is not a number of 0 or more")
    return _wrong(node, "is no text; put quotes around it, or write {text: …, weight: …}")


def _as_text(node: yaml.Node, text: str) -> str | None:
    """Return what was meant as a template, `{red|blue}`, which YAML takes for a mapping with one empty value."""
    if not isinstance(node, yaml.MappingNode) or not node.flow_style or not node.value:
        return None
    if any(not isinstance(value, yaml.ScalarNode) or value.value or value.style for _, value in node.value):
        return None
    return text[node.start_mark.index : node.end_mark.index]


def _wrong(node: yaml.Node, what: str) -> Entry:
    return Entry("", node.start_mark.line + 1, wrong=what)
