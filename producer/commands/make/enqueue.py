"""`producer enqueue`."""

import socket
from collections.abc import Iterator
from itertools import islice
from typing import Any

import click
from click.core import ParameterSource

from models.figures.estimates import expected
from models.records.control import paused_since
from models.records.database import Database
from models.settings import Settings, load_settings
from models.types.errors import BrokerError
from models.types.printable import printable
from producer.actions.enqueue import publish_jobs, record_batch, same_batch
from producer.actions.fill import fill_batch, what_is_missing
from producer.actions.machine.checkpoints import is_here, remedy
from producer.actions.progress import each_counted
from producer.cli import FAILED
from producer.commands.make.job_options import job_options, read_order
from producer.format import NOT_MEASURED, duration, moment, size, states
from producer.planning.lacking_loras import lacking_loras
from producer.planning.plan import Order
from producer.planning.planned_jobs import count_duplicates
from producer.prompts.habits import habits
from producer.prompts.sources import SHOWN_WARNINGS
from producer.prompts.tokens import PLACES, cut_prompts, syntax_left
from producer.terminal.follow import follow
from producer.terminal.progress_bar import progress_bar

_SHOWN_LINES, _SHOWN_LACKS = 5, 10


@click.command
@job_options
@click.option(
    "--fill", metavar="BATCH", help="Queue what is missing of BATCH until --each so many of each combination are there."
)
@click.option("--each", type=click.IntRange(1), help="With --fill: accepted pictures of each combination.")
@click.option("--follow", "following", is_flag=True, help="Show progress until the batch is done.")
@click.option("--dry-run", is_flag=True, help="Say what would be made, how long and how much disk it would take.")
@click.pass_context
def command(
    ctx: click.Context, /, fill: str | None, each: int | None, following: bool, dry_run: bool, **options: Any
) -> None:
    """Put the prompts of a file on the queue, as one batch of jobs.

    The whole file is validated first: every problem is listed with its line, and then nothing is queued.
    Columns of .csv and keys of .jsonl are named as the flags; a line's own value wins over a flag. --help-format shows
    all forms of prompts. A batch that asks for the same is not made a second time, unless --new says so.

    --fill takes the prompts of a batch that is there, with other seeds, for those combinations of attributes of which
    `producer coverage` shows fewer accepted pictures, and adds them to that batch.
    """
    settings = load_settings()
    if fill is not None or each is not None:
        _fill(ctx, settings, fill, each, following=following, dry_run=dry_run)
        return
    order = read_order(settings, **options)
    for checkpoint in order.plan.checkpoints:
        settings.require_allowed(checkpoint)
        if not is_here(checkpoint):
            click.echo(
                f"producer: warning: checkpoint {checkpoint} is not on this machine; unless the worker's has it, "
                f"{remedy(checkpoint)}",
                err=True,
            )
    cut, left = warn_of_prompts(order, settings)
    database = Database(settings.database)
    same = same_batch(database, order)
    if dry_run:
        _preview(order, database, cut, left)
        if same is not None:
            batch, progress = same
            click.echo(f"{batch.name} asks for the same already ({states(progress)}); --new would make another batch")
        click.echo("Nothing was queued (--dry-run).")
        return
    is_new = False
    if same is None:
        batch, is_new = record_batch(database, order, progress_bar)
        # Another command was faster.
        same = None if is_new else same_batch(database, order)
    if same is None:
        count = len(order.plan.jobs)
        said = f"{amount(order)} queued; `producer watch {batch.name}` follows them"
    else:
        batch, progress = same
        count = progress.unpublished
        said = f"asks for the same already ({states(progress)}), so nothing was added; --new makes another batch"
    try:
        publish_jobs(settings, database, count, progress=progress_bar)
    except BrokerError:
        click.echo(f"{batch.name}: {count:,} jobs recorded, not yet on the queue")
        raise
    click.echo(f"{batch.name}: {said}")
    with database.reading() as session:
        since = paused_since(session)
    if since is not None:
        click.echo(f"the queue is paused since {moment(since)}: `producer resume` goes on")
    if following and follow(database, batch.name).is_short:
        ctx.exit(FAILED)


def _fill(
    ctx: click.Context, settings: Settings, name: str | None, each: int | None, *, following: bool, dry_run: bool
) -> None:
    if name is None or each is None:
        raise click.UsageError("--fill BATCH and --each N go together")
    allowed = {"fill", "each", "following", "dry_run"}
    for parameter in ctx.command.params:
        if (
            parameter.name not in allowed
            and ctx.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
        ):
            raise click.UsageError(f"{parameter.opts[0]} is for new prompts; --fill takes those of {name}")
    database = Database(settings.database)
    if dry_run:
        found = what_is_missing(database, name, each)
    else:
        found = fill_batch(settings, database, name, each, progress_bar)
    count, what = sum(lack.count for lack in found), "would be queued" if dry_run else "queued"
    click.echo(f"{name}: {count:,} jobs {what}" if count else f"{name}: nothing is missing for {each:,} of each")
    for lack in found[:_SHOWN_LACKS]:
        chosen = ", ".join(f"{name} = {value}" for name, value in lack.attributes.items())
        click.echo(f"  {lack.count:,} of {printable(chosen) or 'no attributes'}")
    if len(found) > _SHOWN_LACKS:
        click.echo(f"  … and of {len(found) - _SHOWN_LACKS:,} more combinations")
    if dry_run:
        click.echo("Nothing was queued (--dry-run).")
    if following and not dry_run and follow(database, name).is_short:
        ctx.exit(FAILED)


def warn_of_prompts(order: Order, settings: Settings) -> tuple[int, int]:
    """Say which LoRAs are not here, which prompts are cut, and which have syntax that is not understood.

    Returns how many prompts are of the last two.
    """
    # They may be on the worker's machine.
    _warn(lacking_loras(order.plan, settings), "LoRAs")
    jobs, weights = order.plan.jobs, settings.prompt_weights
    with progress_bar("counting tokens", len(jobs)) as advance:
        cut = (
            (line, f"the prompt has over {PLACES} tokens, cut off is: {end if len(end) <= 80 else f'{end[:80]}…'}")
            for line, end in cut_prompts(each_counted(jobs, advance), weights=weights)
        )
        counted = _warn(cut, "prompts are cut")
    # Where weights are words, so is all else, by wish.
    left = ((line, f"taken as words, not understood: {what}") for line, what in syntax_left(jobs if weights else ()))
    return counted, _warn(left, "prompts have such")


def _warn(found: Iterator[tuple[int | None, str]], what: str) -> int:
    shown = list(islice(found, SHOWN_WARNINGS))
    more = sum(1 for _ in found)
    for line, said in shown:
        where = f"line {line}: " if line else ""
        click.echo(f"producer: warning: {where}{printable(said)}", err=True)
    if more:
        click.echo(f"producer: warning: … and {more:,} more {what}", err=True)
    return len(shown) + more


def amount(order: Order) -> str:
    """Return how many jobs are queued at first, and what that has to do with what the prompts ask for."""
    count, asked = len(order.plan.jobs), order.plan.asked
    if order.acceptance.target is None or count == asked:
        return f"{count:,} jobs"
    if count < asked:
        return f"{count:,} jobs (evenly chosen of the {asked:,} that the prompts ask for)"
    return f"{count:,} jobs (the {asked:,} that the prompts ask for, and again with other seeds)"


def _preview(order: Order, database: Database, cut: int, left: int) -> None:
    jobs = order.plan.jobs
    with progress_bar("looking for duplicates", len(jobs)) as advance:
        duplicates = count_duplicates(each_counted(jobs, advance))
    with database.reading() as session:
        needs = expected(session, order.plan.kinds, socket.gethostname())
    click.echo(f"{amount(order)} would be queued:")
    for job in islice(jobs, _SHOWN_LINES):
        s = job.spec
        click.echo(
            f"  {s.width}x{s.height}, {s.steps} steps, {s.scheduler}, guidance {s.guidance:g}, seed {s.seed}: ",
            nl=False,
        )
        click.echo(printable(s.prompt if len(s.prompt) <= 100 else f"{s.prompt[:100]}…"))
        if job.attributes:
            click.echo(f"    {printable(', '.join(f'{name} = {value}' for name, value in job.attributes.items()))}")
    if len(jobs) > _SHOWN_LINES:
        click.echo(f"  … and {len(jobs) - _SHOWN_LINES:,} more")
    click.echo(f"duplicates (same prompt, seed and settings): {duplicates:,}")
    click.echo(f"prompts of over {PLACES} tokens, which are cut: {cut:,}")
    if left:
        click.echo(f"prompts with syntax that is taken as words: {left:,}")
    for said in habits(jobs):
        click.echo(said)
    between = f" (95 of 100 times {duration(needs.low_s)} to {duration(needs.high_s)})" if needs.low_s else ""
    why = "" if needs.seconds is not None else ": this machine has made no such picture yet"
    click.echo(f"time by this machine's own history: {duration(needs.seconds)}{between}{why}")
    if order.acceptance.checks:
        click.echo("not counted: what is rejected" + (", and made again" if order.acceptance.target else ""))
    click.echo(f"disk: {NOT_MEASURED if needs.disk_bytes is None else size(needs.disk_bytes)}")
