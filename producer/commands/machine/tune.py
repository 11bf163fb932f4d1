"""`producer tune`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from models.settings import load_settings
from models.tuning import FILE, CallKind, Trials, forget_trials, read_trials
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
    """Find out now how the device makes pictures in the least time, and show it.

    How many pictures go through the device in one call, and in which form the denoiser works: what gives other pictures
    is left out. Workers find it out with pictures that were asked for; here some are made and thrown away, for a size
    and a scheduler. What is known is kept in the data folder, for each device.
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
            click.echo(f"made {call}", err=True)
    with _named(settings.data_dir / FILE):
        known = read_trials(settings.data_dir)
    if as_json:
        click.echo(json.dumps([_row(kind, trials) for kind, trials in known.items()], indent=2))
    elif known:
        for kind, trials in known.items():
            console().print(_table(kind, trials))
        if not settings.tuning:
            click.echo("NIGHTSHIFT_TUNING is false, and workers do not go by this")
        elif settings.pictures_a_call:
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
    best = trials.fastest()
    return asdict(kind) | trials.as_dict() | {"fastest": asdict(best), "times_as_fast": trials.gain(best)}


def _table(kind: CallKind, trials: Trials) -> Table:
    guided = "" if kind.guided else ", without guidance"
    shown = table(
        f"{kind.width}x{kind.height}, {kind.scheduler}{guided}, by {kind.device_name} ({kind.device}), {kind.dtype}, "
        f"{kind.threads} threads",
        *("made", "a step for one picture", "as fast as one", "until ready", "differs by", ""),
        right=("a step for one picture", "as fast as one", "until ready", "differs by"),
    )
    best = trials.fastest()
    for candidate, trial in trials.of.items():
        gain = trials.gain(candidate)
        shown.add_row(
            str(candidate),
            seconds(trial.seconds),
            NOT_MEASURED if gain is None else f"{gain:.2f} times",
            "" if trial.ready_s is None else seconds(trial.ready_s),
            _difference(trial.difference),
            f"not tried again: {trial.dropped}" if trial.dropped else "the fastest" if candidate == best else "",
        )
    return shown


def _difference(difference: float | None) -> str:
    if difference is None:
        return ""
    return f"{difference:.1e}" if difference else "nothing"
