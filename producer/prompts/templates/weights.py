"""Weights of choices: `{3::black|white}`, and `3::black` as a line of a wildcard."""

import dataclasses
import math
import re
from collections.abc import Sequence

from dynamicprompts.commands import Command, SequenceCommand, VariantCommand, WildcardCommand
from dynamicprompts.commands.variable_commands import VariableAssignmentCommand
from dynamicprompts.commands.variant_command import VariantOption

from producer.prompts.problems import visible
from producer.prompts.templates.within import TemplateError, within

#: Numbers and two colons where a choice begins: at the start of a text, behind a brace, a bar, or `2$$`.
_WEIGHT = re.compile(r"(^|[{|]|\$\$)\s*([-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)(\s*)::")
#: Those that the library takes; all others it would leave in the prompt.
_TAKEN = re.compile(r"[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+")


def split_weight(text: str) -> tuple[float, str]:
    """Return the weight at the start of a wildcard's value, 1 where there is none, and the value.

    Raises:
        TemplateError: if the weight is below 0, or another one is not where it counts.
    """
    found = _WEIGHT.match(text)
    if found is None or found[1]:
        require_weights(text)
        return 1.0, text
    weight, value = float(found[2]), text[found.end() :].strip()
    if weight < 0 or not math.isfinite(weight):
        raise TemplateError(f"{visible(text)}: the weight {found[2]} is not 0 or more")
    require_weights(value)
    return weight, value


def require_weights(text: str) -> None:
    """Refuse a weight that would be read as a part of the prompt.

    Raises:
        TemplateError: quoting it, and saying where weights stand.
    """
    for found in _WEIGHT.finditer(text):
        if found[1] == "" or found[3] or not _TAKEN.fullmatch(found[2]):
            what = visible(found[0].lstrip("{|$ "))
            raise TemplateError(f"{what} is no weight here; one stands in braces, before a choice, as in {{3::a|b}}")


def require_choice(command: Command) -> None:
    """Refuse a choice of which nothing can ever be chosen.

    Raises:
        TemplateError: if all weights of one choice within the command are 0.
    """
    for inner in within(command):
        if isinstance(inner, VariantCommand) and inner.variants and not any(inner.weights):
            raise TemplateError("all weights of a choice are 0, so that nothing can be chosen")


def simplified(command: Command) -> Command:
    """Return the command without what is never to be chosen, which all combinations would have, too.

    A wildcard alone in braces becomes the wildcard itself: for a choice, the library parses each of its values.
    """
    if isinstance(command, SequenceCommand):
        return dataclasses.replace(command, tokens=[simplified(token) for token in command.tokens])
    if isinstance(command, VariableAssignmentCommand):
        return dataclasses.replace(command, value=simplified(command.value))
    if not isinstance(command, VariantCommand):
        return command
    options = [VariantOption(simplified(o.value), o.weight) for o in command.variants if o.weight]
    if len(options) == command.min_bound == command.max_bound == 1 and isinstance(options[0].value, WildcardCommand):
        return options[0].value
    return dataclasses.replace(command, variants=options)


def repetitions(weights: Sequence[float], most: int = 100) -> list[int]:
    """Return how often each is taken in a round, in proportion to the weights above 0; each at least once."""
    if all(weight == int(weight) <= most for weight in weights):
        return [int(weight) for weight in weights]
    largest = max(weights)
    return [max(1, round(most * weight / largest)) for weight in weights]
