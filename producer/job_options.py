"""The options by which `enqueue` and `run` say what to make."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any, TypeVar

import click

from models.job import DEFAULT_PRIORITY, LOWEST_PRIORITY, JobSpec, Kind
from models.settings import Settings
from producer.plan import Plan, plan_jobs
from producer.progress_bar import each_counted, progress_bar
from producer.prompts import Request, read_requests

_Function = TypeVar("_Function", bound=Callable[..., Any])
_COMMAND_LINE = "prompt"


def field_option(name: str) -> Callable[[_Function], _Function]:
    """Return the option of a field that each job has."""
    field = JobSpec.model_fields[name]
    kind = field.annotation if field.annotation in (int, float) else str
    return click.option(f"--{name.replace('_', '-')}", type=kind, help=field.description)


_OPTIONS = (
    click.option(
        "--prompts",
        metavar="FILE|-",
        help="Prompts: text with one a line (# starts a comment), .csv with a header, or .jsonl; - is standard input.",
    ),
    click.option("--prompt", "texts", multiple=True, metavar="TEXT", help="One prompt; may be repeated."),
    *map(field_option, [name for name in JobSpec.model_fields if name != "prompt"]),
    click.option("--count", type=int, help="Pictures a prompt; their seeds follow on from the first. Default 1."),
    click.option("--batch", "name", metavar="NAME", help="Name of the batch. Default: made from the file's name."),
    click.option(
        "--priority",
        type=click.IntRange(0, LOWEST_PRIORITY),
        default=DEFAULT_PRIORITY,
        show_default=True,
        help="0 goes first, 9 last.",
    ),
)


@dataclass(frozen=True)
class Order:
    """What the command line asks for, read and validated."""

    plan: Plan
    name: str | None
    source: str
    priority: int


def job_options(function: _Function) -> _Function:
    """Give a command the options; it takes them as `**options` and hands them to `read_order`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def pace_options(function: _Function) -> _Function:
    """Give a command the options that decide how long a picture takes; it takes them as `**flags`."""
    for field in reversed(fields(Kind)):
        function = field_option(field.name)(function)
    return function


def read_order(
    settings: Settings, *, prompts: str | None, texts: tuple[str, ...], name: str | None, priority: int, **flags: Any
) -> Order:
    """Read the prompts and plan their jobs.

    Raises:
        BadInputError: with every problem of the file and the flags at once.
    """
    if prompts is None and not texts:
        raise click.UsageError("say what to make with --prompts FILE or --prompt TEXT")
    requests = chain(
        read_requests(prompts) if prompts is not None else (), (Request(None, {"prompt": text}) for text in texts)
    )
    source = "standard input" if prompts == "-" else prompts or _COMMAND_LINE
    with progress_bar("reading prompts") as advance:
        plan = plan_jobs(each_counted(requests, advance), given(flags), settings.checkpoint, source)
    return Order(plan, name, source, priority)


def given(flags: Mapping[str, object]) -> Mapping[str, object]:
    """Return those of the flags that the command line names."""
    return {name: value for name, value in flags.items() if value is not None}
