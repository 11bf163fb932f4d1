"""The parts of a parsed template, and what is raised over templates and wildcards."""

from collections.abc import Iterator

from dynamicprompts.commands import Command, SequenceCommand, VariantCommand, WildcardCommand, WrapCommand
from dynamicprompts.commands.variable_commands import VariableAccessCommand, VariableAssignmentCommand


def within(command: Command) -> Iterator[Command]:
    """Yield the command and all within it."""
    yield command
    inner: list[Command | str | None] = []
    if isinstance(command, SequenceCommand):
        inner += command.tokens
    elif isinstance(command, VariantCommand):
        inner += command.values
    elif isinstance(command, WrapCommand):
        inner += [command.wrapper, command.inner]
    elif isinstance(command, VariableAssignmentCommand):
        inner.append(command.value)
    elif isinstance(command, VariableAccessCommand):
        inner.append(command.default)
    elif isinstance(command, WildcardCommand):
        inner.append(command.wildcard)
    for one in inner:
        if isinstance(one, Command):
            yield from within(one)


class TemplateError(Exception):
    """A template or a wildcard that cannot be used; the message says why and what to do."""
