"""`producer enqueue`."""

from itertools import islice
from typing import Any

import click

from models.database import Database
from models.errors import BrokerError
from models.pauses import paused_since
from models.settings import Settings, load_settings
from producer.cli import FAILED
from producer.follow import follow
from producer.job_options import Order, job_options, read_order
from producer.preview import preview
from producer.progress_bar import each_counted, progress_bar
from producer.queueing import publish_with_progress, record_batch
from producer.terminal import NOT_MEASURED, duration, moment, size
from producer.tokens import PLACES, cut_prompts

_SHOWN_LINES = 5
_SHOWN_WARNINGS = 5


@click.command
@job_options
@click.option("--follow", "following", is_flag=True, help="Show progress until the batch is done.")
@click.option("--dry-run", is_flag=True, help="Say what would be made, how long and how much disk it would take.")
@click.pass_context
def command(ctx: click.Context, /, following: bool, dry_run: bool, **options: Any) -> None:
    """Put the prompts of a file on the queue, as one batch of jobs.

    The whole file is validated first: every problem is listed with its line, and then nothing is queued.
    Columns of .csv and keys of .jsonl are named as the flags; a line's own value wins over a flag.
    """
    settings = load_settings()
    order = read_order(settings, **options)
    for checkpoint in order.plan.checkpoints:
        settings.require_allowed(checkpoint)
    warn_of_cut_prompts(order)
    if dry_run:
        _preview(order, settings)
        return
    database = Database(settings.database)
    batch = record_batch(database, order)
    count = len(order.plan.jobs)
    try:
        publish_with_progress(settings, database, count)
    except BrokerError:
        click.echo(f"{batch.name}: {count:,} jobs recorded, not yet on the queue")
        raise
    click.echo(f"{batch.name}: {count:,} jobs queued; `producer watch {batch.name}` follows them")
    with database.reading() as session:
        since = paused_since(session)
    if since is not None:
        click.echo(f"the queue is paused since {moment(since)}: `producer resume` goes on")
    if following and follow(database, batch.name).faulty:
        ctx.exit(FAILED)


def warn_of_cut_prompts(order: Order) -> None:
    """Say which prompts are longer than the text encoder sees, and what of them is cut."""
    with progress_bar("counting tokens", len(order.plan.jobs)) as advance:
        cut = cut_prompts(each_counted(order.plan.jobs, advance))
        shown = list(islice(cut, _SHOWN_WARNINGS))
        more = sum(1 for _ in cut)
    for line, end in shown:
        where = f"line {line}: " if line else ""
        tail = end if len(end) <= 80 else f"{end[:80]}…"
        click.echo(f"producer: warning: {where}the prompt has over {PLACES} tokens, cut off is: {tail}", err=True)
    if more:
        click.echo(f"producer: warning: … and {more:,} more prompts are cut", err=True)


def _preview(order: Order, settings: Settings) -> None:
    jobs = order.plan.jobs
    with Database(settings.database).reading() as session:
        needs = preview(session, order.plan.kinds)
    click.echo(f"{len(jobs):,} jobs would be queued:")
    for job in islice(jobs, _SHOWN_LINES):
        s = job.spec
        click.echo(
            f"  {s.width}x{s.height}, {s.steps} steps, {s.scheduler}, guidance {s.guidance:g}, seed {s.seed}: ",
            nl=False,
        )
        click.echo(s.prompt if len(s.prompt) <= 100 else f"{s.prompt[:100]}…")
    if len(jobs) > _SHOWN_LINES:
        click.echo(f"  … and {len(jobs) - _SHOWN_LINES:,} more")
    between = f" (95 of 100 times {duration(needs.low_s)} to {duration(needs.high_s)})" if needs.low_s else ""
    why = "" if needs.seconds is not None else ": this machine has made no such picture yet"
    click.echo(f"time by this machine's own history: {duration(needs.seconds)}{between}{why}")
    click.echo(f"disk: {NOT_MEASURED if needs.disk_bytes is None else size(needs.disk_bytes)}")
    click.echo("Nothing was queued (--dry-run).")
