"""`producer train`."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import click

from models.figures.trainings import ExpectedTraining
from models.records.batches import Acceptance
from models.records.database import Database
from models.settings import load_settings
from models.training.config import TrainingConfig, read_config
from models.training.sizes import is_enlarged, nearest_size
from models.types.errors import DeviceError
from models.types.job import DEFAULT_PRIORITY, LOWEST_PRIORITY
from models.types.printable import printable
from producer.actions.machine.checkpoints import is_here, remedy
from producer.actions.training import PlannedTraining, plan_training, start_training, try_planned
from producer.cli import FAILED
from producer.commands.make.job_options import given, queue_name, read_acceptance
from producer.format import NOT_MEASURED, duration, seconds, size
from producer.prompts.problems import visible
from producer.prompts.tokens import PLACES, cut_caption
from producer.terminal.follow_training import follow_training
from producer.terminal.progress_bar import progress_bar

_Function = TypeVar("_Function", bound=Callable[..., Any])
#: Another word for --data.
_NO_FLAG = {"train_data_dir"}


def _option(name: str) -> Callable[[_Function], _Function]:
    field = TrainingConfig.model_fields[name]
    kinds = [kind for kind in get_args(field.annotation) if kind is not type(None)] or [field.annotation]
    flag = f"--{name.replace('_', '-')}"
    shown = "" if field.default in (None, (), "none") else f" Default {_value(field.default)}."
    text = f"{field.description}{shown}"
    if bool in kinds:
        return click.option(f"{flag}/--no-{name.replace('_', '-')}", default=None, help=text)
    if get_origin(field.annotation) is tuple:
        return click.option(flag, multiple=True, metavar="TEXT", help=f"{text} May be repeated.")
    if get_origin(field.annotation) is Literal:
        return click.option(flag, type=click.Choice(list(map(str, get_args(field.annotation)))), help=text)
    kind = next((kind for kind in kinds if kind in (int, float)), str)
    return click.option(flag, type=kind, help=text)


def _value(default: object) -> str:
    if isinstance(default, bool):
        return "on" if default else "off"
    return ", ".join(default) if isinstance(default, tuple) else f"{default}"


def _config_options(function: _Function) -> _Function:
    for name in reversed([name for name in TrainingConfig.model_fields if name not in _NO_FLAG]):
        function = _option(name)(function)
    return function


@click.command
@click.argument("name")
@click.option(
    "--data",
    "--train-data-dir",
    "data",
    multiple=True,
    metavar="FOLDER|BATCH",
    help="Pictures and captions: a folder, or batches, whose accepted pictures are taken. May be repeated.",
)
@click.option(
    "--config",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML file, or a Python file with a dictionary, whose keys are the flags below with underscores.",
)
@_config_options
@click.option("--checks", metavar="SETS,CHECKS", help="Judge the validation pictures; as of `producer enqueue`.")
@click.option("--queue", metavar="NAME", callback=queue_name, help="Queue to put it on. Default: the first.")
@click.option(
    "--priority",
    type=click.IntRange(0, LOWEST_PRIORITY),
    default=DEFAULT_PRIORITY,
    show_default=True,
    help="0 goes first, 9 last. Its validation pictures go one before it.",
)
@click.option("--follow", "following", is_flag=True, help="Show progress until it is done.")
@click.option("--dry-run", is_flag=True, help="Say what it would learn from, how long it would take, and how much.")
@click.option(
    "--trial/--no-trial",
    default=None,
    help="With --dry-run: take 3 steps now, to measure time, memory and disk. Default: where nothing is known of them.",
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    name: str,
    data: tuple[str, ...],
    file: Path | None,
    checks: str | None,
    queue: str | None,
    priority: int,
    following: bool,
    dry_run: bool,
    trial: bool | None,
    **flags: Any,
) -> None:
    """Train a LoRA called NAME on pictures and their captions, between the pictures that the queue makes.

    It is taken in segments of --segment-steps steps, after each of which all is kept that another needs to go on:
    `producer pause`, `resume`, `cancel`, `status`, `watch` and `retry` deal with it as with a batch.
    """
    settings = load_settings()
    database = Database(settings.database)
    asked = {name: value for name, value in given(flags).items() if value != ()}
    config, said = read_config(file, asked, {"model_id": settings.checkpoint})
    for line in said:
        click.echo(f"producer: {line}", err=True)
    sources = data or ((config.train_data_dir,) if config.train_data_dir else ())
    if not sources:
        raise click.UsageError("--data names the pictures: a folder, or batches")
    planned = plan_training(settings, database, name, sources, config, progress_bar)
    checkpoint = planned.config.model_id
    if not is_here(checkpoint):
        click.echo(
            f"producer: warning: checkpoint {checkpoint} is not on this machine; unless the worker's has it, "
            f"{remedy(checkpoint)}",
            err=True,
        )
    for line in _warnings(planned):
        click.echo(f"producer: warning: {printable(line)}", err=True)
    for line in _plan(planned):
        click.echo(line)
    is_known = planned.expected.time.seconds is not None
    if dry_run and (trial if trial is not None else not is_known):
        for line in _tried(planned):
            click.echo(line)
    elif dry_run or is_known:
        for line in _expected(planned.expected):
            click.echo(line)
    if dry_run:
        click.echo("Nothing was queued (--dry-run).")
        return
    acceptance = Acceptance() if checks is None else read_acceptance(f"{checks},-duplicates", None, None)
    start_training(settings, database, planned, queue=queue, priority=priority, acceptance=acceptance)
    click.echo(f"{name}: queued; `producer watch {name}` follows it")
    if following and not follow_training(database, name).is_done_well:
        ctx.exit(FAILED)


def _plan(planned: PlannedTraining) -> list[str]:
    config, data = planned.config, planned.data
    held_out = f", {len(data.held_out):,} more are held out" if data.held_out else ""
    batch = f"{config.train_batch_size} x {config.gradient_accumulation_steps}"
    size = f"{config.resolution}x{config.resolution}"
    steps = f"{config.max_train_steps:,} steps of {config.pictures_a_step} pictures ({batch})"
    lines = [
        f"{planned.name}: {len(data.learnt):,} pictures from {planned.folder}{held_out}",
        f"{steps}, each picture {planned.epochs:,.1f} times; rank {config.lora_rank}, alpha {config.lora_alpha:g}",
        f"on {config.model_id} at {size}",
    ]
    if pictures := _pictures(config):
        prompts = ", ".join(map(visible, config.validation_prompt))
        when = f"before it, every {config.validation_steps:,} steps, and at its end"
        lines.append(f"{pictures:,} pictures {when}: {prompts}")
    return lines


def _pictures(config: TrainingConfig) -> int:
    """Return how many pictures are made each time, by which checkpoints are compared."""
    return len(config.validation_prompt) * config.num_validation_images


def _warnings(planned: PlannedTraining) -> Iterator[str]:
    """Yield what of the pictures and captions is learnt otherwise than a person may think."""
    config, data = planned.config, planned.data
    enlarged = [file for file, has in data.sizes.items() if is_enlarged(has, nearest_size(*has, config.sizes))]
    if enlarged:
        width, height = data.sizes[enlarged[0]]
        yield (
            f"{len(enlarged):,} of {len(data.sizes):,} pictures are smaller than they are learnt in, and enlarged: "
            f"{enlarged[0]} has {width}x{height} pixels"
        )
    cut = [(one.file, end) for one in data.learnt + data.held_out if (end := cut_caption(config.model_id, one.caption))]
    if cut:
        file, end = cut[0]
        yield (
            f"{len(cut):,} of {len(data.learnt) + len(data.held_out):,} captions have over {PLACES} tokens; of "
            f"{file} is cut off: {end if len(end) <= 80 else f'{end[:80]}…'}"
        )


def _expected(expected: ExpectedTraining) -> list[str]:
    time = expected.time
    if time.seconds is None:
        return [
            f"time and memory: {NOT_MEASURED}, since this machine has trained nothing like it; --trial measures them"
        ]
    between = f" (95 of 100 times {duration(time.low_s)} to {duration(time.high_s)})" if time.low_s else ""
    return [
        f"time by this machine's own history: {duration(time.seconds)}{between}",
        f"memory at its peak: {size(expected.peak_bytes)}",
        f"disk: {NOT_MEASURED}; --trial measures it",
    ]


def _tried(planned: PlannedTraining) -> list[str]:
    click.echo("producer: taking 3 steps on this machine's device (--no-trial leaves that out) …", err=True)
    try:
        trial = try_planned(planned, lambda what: click.echo(f"producer: {what}", err=True))
    except DeviceError as error:
        return [f"time, memory and disk: {NOT_MEASURED}: {error}"]
    config = planned.config
    pictures = len(planned.data.sizes)
    step_s = trial.batch_s * config.gradient_accumulation_steps
    how = "; memory ran out, and was saved by gradient checkpointing" if trial.saves_memory else ""
    later = ["the loss of what is held out"] * bool(planned.data.held_out)
    later += ["validation pictures"] * bool(_pictures(config))
    more = f"; {' and '.join(later)} on top" if later else ""
    return [
        f"time by 3 steps taken now: {duration(trial.seconds(config, pictures))}, {seconds(step_s)} a step{more}",
        f"memory at its peak: {size(trial.peak_bytes)}{how}",
        f"disk: {size(trial.disk_bytes(config, pictures))} for its LoRAs, its state and the encoded pictures",
    ]
