"""Writes the parts of the manual that are made of the program: `python docs/generated.py`, as `make docs` does.

A page has a place for what is made, between two marks; the rest is written by hand. A test holds pages against this.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from models.settings import PREFIX, Settings
from models.types.causes import Cause, Trait
from models.types.fate import Fate, Tries, fate
from producer.cli import GROUPS, main
from worker.events import Event

HERE = Path(__file__).parent
_BEGIN, _END = "<!-- made by `make docs` -->", "<!-- end -->"
_PLACE = re.compile(f"(?<={re.escape(_BEGIN)}\n).*?(?={re.escape(_END)})", re.DOTALL)


def settings() -> Iterator[str]:
    """Yield a table of the settings: their variables, defaults and meanings."""
    yield from ("| variable | default | meaning |", "| --- | --- | --- |")
    for name, field in Settings.model_fields.items():
        yield f"| `{PREFIX}{name.upper()}` | {_default(field.default)} | {field.description} |"


def commands() -> Iterator[str]:
    """Yield a section a group of commands, and below it the help of each."""
    # With what `producer` sets for all of its commands.
    with click.Context(main, info_name="producer", **main.context_settings) as context:
        for group, members in GROUPS.items():
            yield f"## {group}\n"
            for name in members:
                command = main.get_command(context, name)
                assert command is not None
                yield from _help(command, name, context)


def causes() -> Iterator[str]:
    """Yield a table of what becomes of a job, by the cause that its attempt ended for."""
    yield from ("| cause | the attempt | what it is | the job |", "| --- | --- | --- | --- |")
    # Those two are of jobs alone: no attempt ends for them.
    for cause in [cause for cause in Cause if cause not in (Cause.INVALID, Cause.QUARANTINED)]:
        yield f"| `{cause}` | {cause.outcome} | {cause.sentence} | {_becomes(cause)} |"


def events() -> Iterator[str]:
    """Yield a table of what the log tells of."""
    yield from ("| event | what happened |", "| --- | --- |")
    yield from (f"| `{event}` | {event.sentence} |" for event in Event)


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "causes.md": causes,
    "commands.md": commands,
    "log_events.md": events,
    "settings.md": settings,
}


def made(page: str) -> str:
    """Return the text of a page with what is made in its place."""
    made_part = "\n".join(PAGES[page]())
    return _PLACE.sub(lambda _: f"\n{made_part.strip()}\n\n", (HERE / page).read_text())


def _default(value: object) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`" if str(value) else "empty"


def _help(command: click.Command, name: str, parent: click.Context) -> Iterator[str]:
    # Wider than a terminal, so that a line holds what an option does.
    with click.Context(command, parent, name, terminal_width=110, max_content_width=110) as context:
        yield f"### `{context.command_path}`\n\n```text\n{command.get_help(context)}\n```\n"
        if isinstance(command, click.Group):
            for sub, member in command.commands.items():
                yield from _help(member, sub, context)


_WORDS = {
    Fate.SETTLE: "ends as its attempt has",
    Fate.POSTPONE: "is tried again later",
    Fate.GIVE_BACK: "goes back to the queue",
    Fate.LOSE: "goes back, and a loss is counted",
    Fate.QUARANTINE: "is quarantined",
}


def _becomes(cause: Cause) -> str:
    tries = Tries(retries=2, quarantine_after=3)
    first = fate(cause.outcome, cause, 0, 0, tries)
    last = fate(cause.outcome, cause, tries.retries, tries.quarantine_after - 1, tries)
    becomes = _WORDS[first] if first is last else f"{_WORDS[first]}; the last time it {_WORDS[last]}"
    if Trait.LIES_IN_SEED in cause.traits:
        becomes += "; replaced, where its batch has a target"
    if Trait.TELLS_OF_PROCESS in cause.traits:
        becomes += "; after several in a row the worker ends, and the last job goes back"
    return becomes


if __name__ == "__main__":
    for name in PAGES:
        (HERE / name).write_text(made(name))
