"""The options by which `enqueue` and `run` say what to make."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import click

from models.job import DEFAULT_PRIORITY, LOWEST_PRIORITY, JobSpec, Kind
from models.printable import printable
from models.settings import Settings
from producer.plan import Plan, plan_jobs
from producer.progress_bar import each_counted, progress_bar
from producer.prompt_formats import show_formats
from producer.prompts import read_requests
from producer.request import Request

_Function = TypeVar("_Function", bound=Callable[..., Any])
_COMMAND_LINE = "prompt"
SHOWN_WARNINGS = 5
#: As `producer.templates` knows them, which brings a parser that most commands do not need.
_TEMPLATES = ("combinatorial", "random", "cyclical")


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
    click.option(
        "--from",
        "pictures",
        multiple=True,
        metavar="PNG|FOLDER",
        help="Make a picture's parameters again, or a folder's; flags change them. May be repeated.",
    ),
    click.option(
        "--help-format",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=show_formats,
        help="Show what prompts and templates look like, with an example of each.",
    ),
    click.option(
        "--template",
        type=click.Choice(_TEMPLATES),
        help="Take prompts for templates such as {red|blue} shoe, __season__: all combinations, or --limit many.",
    ),
    click.option("--limit", type=click.IntRange(1), help="Prompts of each template, at most."),
    click.option(
        "--wildcards",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Folder of wildcards. Default: the text files beside the prompts, and a folder wildcards there.",
    ),
    *map(field_option, [name for name in JobSpec.model_fields if name != "prompt"]),
    click.option("--count", type=int, help="Pictures a prompt; their seeds follow on from the first. Default 1."),
    click.option("--batch", "name", metavar="NAME", help="Name of the batch. Default: made from the file's name."),
    click.option("--new", is_flag=True, help="Make another batch although one asks for the same."),
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
    #: Whether it is to be made although a batch asks for the same.
    new: bool = False


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
    settings: Settings,
    *,
    prompts: str | None,
    texts: tuple[str, ...],
    pictures: tuple[str, ...],
    template: str | None,
    limit: int | None,
    wildcards: Path | None,
    name: str | None,
    new: bool,
    priority: int,
    **options: Any,
) -> Order:
    """Read the prompts and plan their jobs.

    Raises:
        BadInputError: with every problem of the file and the flags at once.
    """
    if prompts is None and not texts and not pictures:
        raise click.UsageError("say what to make with --prompts FILE, --prompt TEXT or --from PNG")
    flags = given(options)
    source = "standard input" if prompts == "-" else prompts or (pictures[0] if pictures else _COMMAND_LINE)
    requests: Iterator[Request] = chain(
        read_requests(prompts) if prompts is not None else (), (Request(None, {"prompt": text}) for text in texts)
    )
    if template is not None:
        beside = Path(prompts).parent if prompts not in (None, "-") else Path()
        requests = _from_templates(requests, template, limit, flags.get("seed"), wildcards, beside, source)
    elif limit is not None or wildcards is not None:
        raise click.UsageError("--limit and --wildcards are for templates; add --template combinatorial")
    if pictures:
        requests = chain(requests, _from_pictures(pictures, settings, flags))
    with progress_bar("reading prompts") as advance:
        plan = plan_jobs(each_counted(requests, advance), flags, settings.checkpoint, source)
    return Order(plan, name, source, priority, new)


def _from_templates(
    requests: Iterator[Request],
    template: str,
    limit: int | None,
    seed: object,
    folder: Path | None,
    beside: Path,
    source: str,
) -> Iterator[Request]:
    from producer.templates import METHODS, Templates, Wildcards  # a parser, for those who have templates

    if limit is None and template != "combinatorial":
        raise click.UsageError(f"--template {template} has no end; say how many prompts of each with --limit")
    return Templates(METHODS[template], limit, seed, Wildcards(folder, beside)).expand(requests, source)


def _from_pictures(pictures: tuple[str, ...], settings: Settings, flags: Mapping[str, object]) -> Iterator[Request]:
    from producer.picture_parameters import known_checkpoints, read_pictures  # Pillow, for those who have pictures

    checkpoints = known_checkpoints(settings.checkpoint, settings.places_of_checkpoints)
    warnings: list[str] = []
    for request in read_pictures(pictures, checkpoints, warnings.append, named="checkpoint" in flags):
        # Whoever names a flag beside a picture wants that picture changed.
        yield replace(request, values={name: value for name, value in request.values.items() if name not in flags})
    warn(warnings)


def warn(warnings: list[str]) -> None:
    """Say the first of the warnings, and how many more there are."""
    for text in warnings[:SHOWN_WARNINGS]:
        click.echo(f"producer: warning: {printable(text)}", err=True)
    if len(warnings) > SHOWN_WARNINGS:
        click.echo(f"producer: warning: … and {len(warnings) - SHOWN_WARNINGS:,} more like these", err=True)


def given(flags: Mapping[str, object]) -> Mapping[str, object]:
    """Return those of the flags that the command line names."""
    return {name: value for name, value in flags.items() if value is not None}
