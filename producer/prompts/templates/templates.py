"""Templates: one line that stands for many prompts, in the syntax of dynamicprompts.

`A photo of {black|brown} {sneakers|sandals}, __season__` with a file `season.txt` of wildcards, `{2$$a|b|c}` for two of
them, `{0.5::a|b}` with a weight, `${colour=!{black|brown}}` to name a choice and take it again as `${colour}`.
"""

import dataclasses
import logging
from collections.abc import Iterator, Mapping
from itertools import islice
from random import Random

from dynamicprompts.commands import (
    Command,
    LiteralCommand,
    SamplingMethod,
    SequenceCommand,
    VariantCommand,
    WildcardCommand,
)
from dynamicprompts.commands.variable_commands import VariableAccessCommand, VariableAssignmentCommand
from dynamicprompts.parser.parse import parse
from dynamicprompts.sampling_context import SamplingContext
from pyparsing import ParseException

from producer.prompts.problems import Problems, place, visible
from producer.prompts.request import Request
from producer.prompts.templates.weights import require_choice, require_weights, simplified
from producer.prompts.templates.wildcards import Wildcards
from producer.prompts.templates.within import TemplateError, within

METHODS: Mapping[str, SamplingMethod] = {
    "combinatorial": SamplingMethod.COMBINATORIAL,
    "random": SamplingMethod.RANDOM,
    "cyclical": SamplingMethod.CYCLICAL,
}
#: Stand around a choice and its name while a prompt is put together; characters of no alphabet, for private use.
_OPEN, _IS, _CLOSE = "\ue000", "\ue001", "\ue002"
#: Stands between prompt and negative prompt.
_NEGATIVE = "\ue003"
_MARKS = frozenset((_OPEN, _IS, _CLOSE, _NEGATIVE))
#: Nothing but text is in a template without them; the last three begin comments.
_SIGNS = ("{", "$", "%", "__", "#", "//", "/*")
_NOTHING = "the template stands for no prompt at all"

# It tells of an unknown wildcard in a line of its own; here that is refused.
logging.getLogger("dynamicprompts").setLevel(logging.CRITICAL)


@dataclasses.dataclass(frozen=True)
class Templates:
    """How templates become prompts."""

    method: SamplingMethod
    #: Prompts of each template; None: as many as there are, which only combinations have an end of.
    limit: int | None
    #: Decides what is chosen at random, together with the template's line; None: drawn anew each time.
    seed: object
    wildcards: Wildcards

    def expand(
        self, requests: Iterator[Request], source: str, problems: Problems, negative: object = None
    ) -> Iterator[Request]:
        """Yield for each request as many as its prompts stand for, with what was chosen for each.

        The negative prompt, `negative` where a request has none of its own, is a template, too. A line whose templates
        cannot be used is added to `problems`.
        """
        for request in requests:
            template = request.values.get("prompt")
            against = request.values.get("negative_prompt", negative)
            if not isinstance(template, str):
                # The plan says what is wrong with it.
                yield request
                continue
            try:
                yield from self._expanded(request, template, against if isinstance(against, str) else "")
            except TemplateError as error:
                where = "--prompt" if request.line is None else place(source, request.line)
                problems.add(where, str(error))

    def _expanded(self, request: Request, template: str, against: str) -> Iterator[Request]:
        seed = request.values.get("seed", self.seed)
        # Text, so that line 1 of seed 12 is not line 12 of seed 1.
        rand = Random() if seed is None else Random(f"{seed} {request.line}")  # noqa: S311 - no secret
        drawn_from = f"{self.method.value} {template}" + (f"\n{against}" if against else "") if seed is None else None
        negative_too = _is_template(against)
        empty = True
        for marked in islice(self._prompts(template, against if negative_too else "", rand), self.limit):
            prompt, negative, attributes = _unmarked(marked)
            empty = False
            values = {**request.values, "prompt": " ".join(prompt.split())}
            if negative_too:
                values["negative_prompt"] = " ".join(negative.split())
            yield dataclasses.replace(
                request,
                values=values,
                attributes={**request.attributes, **attributes},
                drawn_from=drawn_from,
            )
        if empty:
            raise TemplateError(_NOTHING)

    def _prompts(self, template: str, against: str, rand: Random) -> Iterator[str]:
        """Yield prompts, and behind a mark negative prompts, in which every choice is marked."""
        if not _MARKS.isdisjoint(template + against):
            raise TemplateError("holds a character for private use (U+E000 to U+E003), which templates cannot have")
        if not _is_template(template) and not against:
            # Parsing takes milliseconds.
            yield template
            return
        tokens = [*_marked(_parsed(template)), LiteralCommand(_NEGATIVE)]
        if against:
            tokens += _marked(_parsed(against), "negative ")
        for token in tokens:
            self._require_wildcards(token)
        context = SamplingContext(self.method, self.wildcards, rand=rand)
        try:
            if self.method is SamplingMethod.RANDOM:
                # One at a time: a variable that is chosen once would otherwise be chosen once for all of them.
                while True:
                    yield from _texts(context, tokens, 1)
            elif self.method is SamplingMethod.COMBINATORIAL:
                yield from _each_value(context, tokens)
            else:
                yield from _texts(context, tokens)
        except KeyError as error:
            raise TemplateError(f"{error.args[0]}; write ${{name=!{{a|b}}}} before it is used") from None
        except RecursionError:
            raise TemplateError("a wildcard or a variable stands for itself") from None
        except RuntimeError:
            # A choice of more than there is, such as {2$$a|a}, ends a generator within another one.
            raise TemplateError(_NOTHING) from None
        except ParseException as error:
            raise TemplateError(f"a wildcard's value {visible(error.line)} cannot be read as a template") from None
        except ValueError as error:
            raise TemplateError(f"nothing can be chosen: {error}") from None

    def _require_wildcards(self, command: Command) -> None:
        """Refuse a wildcard that is not there, though it might never be chosen."""
        for inner in within(command):
            if isinstance(inner, WildcardCommand) and isinstance(inner.wildcard, str):
                self.wildcards.get_values(inner.wildcard)


def _is_template(text: str) -> bool:
    """Tell whether a text may be more than itself."""
    return any(sign in text for sign in _SIGNS) or "::" in text


def _parsed(template: str) -> Command:
    require_weights(template)
    try:
        command = parse(template)
    except ParseException as error:
        column, rest = error.loc + 1, template[error.loc :]
        what = {"{": "the brace is not closed", "__": "the wildcard is not closed by __"}
        why = next((said for start, said in what.items() if rest.startswith(start)), "this is no template")
        raise TemplateError(f"column {column}, {visible(rest)}: {why}; without --template it is plain text") from None
    except RecursionError:
        raise TemplateError("its braces are nested too deep") from None
    except ValueError as error:
        raise TemplateError(f"cannot be read as a template: {error}") from None
    require_choice(command)
    return simplified(command)


def _marked(root: Command, prefix: str = "") -> list[Command]:
    """Return the template's parts, each choice between marks that say its name: a wildcard's, a variable's, a number.

    The numbered ones are called `choice 1` and so on, behind the prefix.

    Choices within choices stay unmarked: the library tells by their text which of them are the same.
    """
    parts = list(root.tokens) if isinstance(root, SequenceCommand) else [root]
    marked: list[Command] = []
    unnamed = 0
    for part in parts:
        name = None
        if isinstance(part, WildcardCommand) and isinstance(part.wildcard, str):
            name = part.wildcard
        elif isinstance(part, VariableAccessCommand):
            name = part.name
        elif isinstance(part, VariantCommand):
            only = part.values[0] if len(part.values) == 1 else None
            if isinstance(only, WildcardCommand) and isinstance(only.wildcard, str):
                name = only.wildcard
            else:
                unnamed += 1
                name = f"{prefix}choice {unnamed}"
        marked += [part] if name is None else [LiteralCommand(f"{_OPEN}{name}{_IS}"), part, LiteralCommand(_CLOSE)]
    return marked


def _unmarked(text: str) -> tuple[str, str, dict[str, str]]:
    """Return prompt, negative prompt, and what was chosen by name; a name that was chosen for twice has both."""
    chosen: dict[str, list[str]] = {}
    prompt, *rest = text.split(_OPEN)
    for part in rest:
        name, _, after = part.partition(_IS)
        value, _, plain = after.partition(_CLOSE)
        values = chosen.setdefault(name, [])
        if (value := " ".join(value.split())) not in values:
            values.append(value)
        prompt += value + plain
    prompt, _, negative = prompt.partition(_NEGATIVE)
    return prompt, negative, {name: ", ".join(values) for name, values in chosen.items()}


def _each_value(context: SamplingContext, tokens: list[Command]) -> Iterator[str]:
    """Yield all combinations, those of variables that are chosen at once included.

    The library takes the first value of such a variable alone.
    """
    for number, token in enumerate(tokens):
        if isinstance(token, VariableAssignmentCommand) and token.immediate:
            for value in context.generator_from_command(token.value):
                fixed = dataclasses.replace(token, value=LiteralCommand(value.text), immediate=False)
                yield from _each_value(context, [*tokens[:number], fixed, *tokens[number + 1 :]])
            return
    yield from _texts(context, tokens)


def _texts(context: SamplingContext, tokens: list[Command], count: int | None = None) -> Iterator[str]:
    for result in context.sample_prompts(SequenceCommand(tokens), count):
        yield result.text
