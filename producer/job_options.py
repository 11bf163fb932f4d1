"""The options by which `enqueue` and `run` say what to make."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from models.job import DEFAULT_PRIORITY, LOWEST_PRIORITY
from models.settings import Settings
from producer.plan import Flags, Plan, plan_jobs
from producer.prompts import Request, read_requests

_Function = TypeVar("_Function", bound=Callable[..., Any])
_COMMAND_LINE = "prompt"

_OPTIONS = (
    click.option(
        "--prompts",
        metavar="FILE|-",
        help="Prompts: text with one a line (# starts a comment), .csv with a header, or .jsonl; - is standard input.",
    ),
    click.option("--prompt", "texts", multiple=True, metavar="TEXT", help="One prompt; may be repeated."),
    click.option("--negative-prompt", metavar="TEXT", help="What the picture should not show."),
    click.option("--count", type=int, help="Pictures a prompt; their seeds follow on from the first. Default 1."),
    click.option("--seed", type=int, help="Seed of each prompt's first picture; drawn and recorded where not given."),
    click.option("--steps", type=int, help="Denoising steps. Default: the checkpoint's (25 for SD 1.5)."),
    click.option("--guidance", type=float, help="Guidance scale. Default: the checkpoint's (7.5)."),
    click.option("--width", type=int, help="Pixels, a multiple of 8. Default: the checkpoint's (512 for SD 1.5)."),
    click.option("--height", type=int, help="Pixels, a multiple of 8. Default: the checkpoint's (512 for SD 1.5)."),
    click.option("--scheduler", metavar="NAME", help="Such as PNDM, Euler a, DPM++ 2M Karras. Default: PNDM."),
    click.option("--checkpoint", metavar="NAME", help="Hub id, folder, .safetensors file, or demo."),
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
    """What the command line asks for, read and checked."""

    plan: Plan
    name: str | None
    source: str
    priority: int


def job_options(function: _Function) -> _Function:
    """Give a command the options; it takes them as `**options` and hands them to `read_order`."""
    for option in reversed(_OPTIONS):
        function = option(function)
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
    requests = read_requests(prompts) if prompts is not None else []
    requests += [Request(None, {"prompt": text}) for text in texts]
    source = "standard input" if prompts == "-" else prompts or _COMMAND_LINE
    return Order(plan_jobs(requests, Flags(**flags), settings.checkpoint, source), name, source, priority)
