"""The options by which `enqueue` and `run` say what to make."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click

from models.lora_files import LORA_SUFFIX
from models.records.batches import Acceptance
from models.settings import Settings, load_settings
from models.types.errors import BadInputError
from models.types.job import DEFAULT_PRIORITY, LOWEST_PRIORITY, PACE_FIELDS, JobSpec
from models.types.message import QUEUE_NAME
from producer.actions.progress import each_counted
from producer.planning.plan import MAX_JOBS, Order, plan_jobs
from producer.prompts.axes import Axis, expanded
from producer.prompts.formats import show_formats
from producer.prompts.problems import Problems
from producer.prompts.sources import TEMPLATES, Sources
from producer.terminal.progress_bar import progress_bar

_Function = TypeVar("_Function", bound=Callable[..., Any])


#: How often a picture of a target is made again where nothing else is asked for: of ten tries one is good, unless its
#: prompt is hopeless.
REPLACEMENTS, MAX_REPLACEMENTS = 9, 1_000


def field_option(name: str) -> Callable[[_Function], _Function]:
    """Return the option of a field that each job has."""
    field = JobSpec.model_fields[name]
    kind = field.annotation if field.annotation in (int, float) else str
    return click.option(f"--{name.replace('_', '-')}", type=kind, help=field.description)


def _named_by_path(text: str) -> str:
    """Return a LoRA's file that is named by its path as jobs name it: by its place in a folder of LoRAs."""
    name, colon, scale = text.partition(":")
    file = Path(name).expanduser()
    if file.suffix != LORA_SUFFIX or not file.is_file():
        return text
    file = file.resolve()
    for folder in load_settings().places_of_loras:
        if file.is_relative_to(folder.resolve()):
            return f"{file.relative_to(folder.resolve())}{colon}{scale}"
    return f"{file}{colon}{scale}"


def queue_name(_context: click.Context, _option: click.Parameter, name: str | None) -> str | None:
    """Return the name of a queue, as an option's callback; refuse what is none."""
    if name is not None and not re.fullmatch(QUEUE_NAME, name):
        raise click.BadParameter(f"{name!r}: use up to 64 letters, digits, dots, dashes and underscores")
    return name


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
        "--keep-columns",
        is_flag=True,
        help="Keep columns and keys of other names, such as id or category, as attributes of the jobs.",
    ),
    click.option(
        "--template",
        type=click.Choice(TEMPLATES),
        help="Take prompts for templates such as {red|blue} shoe, __season__: all combinations, or --limit many.",
    ),
    click.option("--limit", type=click.IntRange(1), help="Prompts of each template, at most."),
    click.option(
        "--wildcards",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Folder of wildcards. Default: the text files beside the prompts, and a folder wildcards there.",
    ),
    *map(field_option, [name for name in JobSpec.model_fields if name not in ("prompt", "lora")]),
    click.option(
        "--lora",
        multiple=True,
        metavar="NAME[:SCALE]",
        callback=lambda _context, _option, names: ", ".join(map(_named_by_path, names)) if names else None,
        help=f"{JobSpec.model_fields['lora'].description} May be repeated.",
    ),
    click.option(
        "--checks",
        metavar="SETS,CHECKS",
        help="Judge each picture as it is made: product, shoes, a check, CHECK.LIMIT=VALUE; see `producer check`.",
    ),
    click.option(
        "--target",
        type=click.IntRange(1, MAX_JOBS),
        help="Go on until so many pictures are accepted: a rejected one is made again with another seed.",
    ),
    click.option(
        "--replacements",
        type=click.IntRange(0, MAX_REPLACEMENTS),
        help=f"How often one picture of a --target is made again, at most. Default {REPLACEMENTS}.",
    ),
    click.option("--count", type=int, help="Pictures a prompt; their seeds follow on from the first. Default 1."),
    click.option("--batch", "name", metavar="NAME", help="Name of the batch. Default: made from the file's name."),
    click.option("--new", is_flag=True, help="Make another batch although one asks for the same."),
    click.option(
        "--queue",
        metavar="NAME",
        callback=queue_name,
        help="Queue to put them on; workers whose NIGHTSHIFT_QUEUES names it make them. Default: the first there.",
    ),
    click.option(
        "--priority",
        type=click.IntRange(0, LOWEST_PRIORITY),
        default=DEFAULT_PRIORITY,
        show_default=True,
        help="0 goes first, 9 last. Batches of one priority take turns.",
    ),
)


def job_options(function: _Function) -> _Function:
    """Give a command the options; it takes them as `**options` and hands them to `read_order`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def pace_options(function: _Function) -> _Function:
    """Give a command the options that decide how long a picture takes; it takes them as `**flags`."""
    for name in reversed(PACE_FIELDS):
        function = field_option(name)(function)
    return function


def read_order(
    settings: Settings,
    *,
    name: str | None,
    new: bool,
    queue: str | None,
    priority: int,
    axes: Sequence[Axis] = (),
    **options: Any,
) -> Order:
    """Read what to make and plan its jobs; with `axes` each of them in all variants.

    Raises:
        BadInputError: with every problem of the sources and the flags at once.
    """
    sources = Sources(**{field.name: options.pop(field.name) for field in fields(Sources)})
    acceptance = read_acceptance(options.pop("checks"), options.pop("target"), options.pop("replacements"))
    flags = given(options)
    with progress_bar("reading prompts") as advance:
        problems = Problems()
        requests = each_counted(sources.requests(settings, flags, problems), advance)
        if axes:
            requests = expanded(requests, axes, flags)
        plan = plan_jobs(requests, flags, settings.checkpoint, sources.name, acceptance, problems)
    return Order(plan, name, sources.name, queue or settings.queue_names[0], priority, acceptance, new)


def read_acceptance(checks: str | None, target: int | None, replacements: int | None) -> Acceptance:
    """Return which pictures are accepted, by the flags of these names.

    Raises:
        BadInputError: if the flags do not go together, or a check is not known.
    """
    if target is not None and checks is None:
        what = "--target counts accepted pictures: add --checks product, or --checks none and reject them yourself"
        raise BadInputError([what])
    if replacements is not None and target is None:
        raise BadInputError(["--replacements is for a --target: without one, no picture is made again"])
    if checks is None:
        return Acceptance()
    # What looks at pictures takes a second to import, which nothing else here needs.
    from checks.registry import select

    try:
        limits = select(checks).as_dict()
    except ValueError as error:
        raise BadInputError([f"--checks: {error}"]) from None
    most = REPLACEMENTS if replacements is None else replacements
    return Acceptance(limits or None, target, most if target is not None else 0)


def given(flags: Mapping[str, object]) -> Mapping[str, object]:
    """Return those of the flags that the command line names."""
    return {name: value for name, value in flags.items() if value is not None}
