"""`producer tune`."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from models.call_sizes import FILE, SIZES, CallKind, Trials, forget_trials, read_trials
from models.settings import load_settings
from models.types.errors import NightshiftError
from producer.commands.make.job_options import given, pace_options
from producer.format import NOT_MEASURED, seconds
from producer.local.tuning import tuned_calls
from producer.planning.plan import plan_jobs
from producer.prompts.request import Request
from producer.terminal.tables import console, table

#: Steps of a picture that is thrown away: each takes as long as any other.
_STEPS = 4


@click.command
@pace_options
@click.option("--show", is_flag=True, help="Show what is known, and make no pictures.")
@click.option("--anew", is_flag=True, help="Forget what is known of all devices first.")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
def command(show: bool, anew: bool, as_json: bool, **flags: Any) -> None:
    """Find out now how many pictures a call of the device are fastest, and show it.

    Workers find it out with pictures that were asked for; here some are made and thrown away, for a size and a
    scheduler. What is known is kept in the data folder, for each device.
    """
    settings = load_settings()
    if anew:
        with _named(settings.data_dir / FILE):
            forget_trials(settings.data_dir)
    if not show:
        asked = {"seed": 0, **given(flags)}
        plan = plan_jobs([Request(None, {"prompt": "a photo"})], asked, settings.checkpoint, "tune")
        (job,) = plan.jobs
        for call in tuned_calls(job.spec.model_copy(update={"steps": min(job.spec.steps, _STEPS)})):
            click.echo(f"made {call} in one call", err=True)
    with _named(settings.data_dir / FILE):
        known = read_trials(settings.data_dir)
    if as_json:
        click.echo(json.dumps([_row(kind, trials) for kind, trials in known.items()], indent=2))
    elif known:
        console().print(_table(known))
        if settings.pictures_a_call:
            click.echo(f"NIGHTSHIFT_PICTURES_A_CALL is {settings.pictures_a_call}, and goes before this")
    else:
        click.echo(f"nothing is known yet: workers find it out, and keep it in {settings.data_dir / FILE}")


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Say in one line of which file it is that it cannot be used."""
    try:
        yield
    except OSError as error:
        raise NightshiftError(f"{file} cannot be used: {error.strerror or error}") from error


def _row(kind: CallKind, trials: Trials) -> dict[str, Any]:
    found = {"in_force": trials.next_size(), "is_settled": trials.is_settled, "times_as_fast": trials.gain}
    return asdict(kind) | asdict(trials) | found


def _table(known: Mapping[CallKind, Trials]) -> Table:
    sizes = [str(size) for size in SIZES]
    shown = table(
        "Seconds of a step for one picture, by how many are made in one call",
        *("device", "pictures", *sizes, "in force", "as fast as one"),
        right=(*sizes, "in force", "as fast as one"),
    )
    for kind, trials in known.items():
        guided = "" if kind.guided else ", without guidance"
        gain = NOT_MEASURED if trials.gain is None else f"{trials.gain:.2f} times"
        shown.add_row(
            f"{kind.device}: {kind.device_name}, {kind.dtype}, {kind.threads} threads",
            f"{kind.width}x{kind.height}, {kind.scheduler}{guided}",
            *(_cell(trials, size) for size in SIZES),
            str(trials.next_size()) if trials.is_settled else f"trying {trials.next_size()}",
            gain,
        )
    return shown


def _cell(trials: Trials, size: int) -> str:
    if trials.fatal is not None and size >= trials.fatal:
        return "ended the worker" if size == trials.fatal else "-"
    return seconds(trials.seconds[size]) if size in trials.seconds else "-"
