"""`producer accept` and `producer reject`."""

import click

from models.records.database import Database
from models.settings import load_settings
from models.types.job import MAX_KEY
from producer.actions.decide import decide_over
from producer.actions.enqueue import publish_jobs
from producer.terminal.progress_bar import progress_bar

_jobs = click.argument("jobs", nargs=-1, required=True, type=click.IntRange(1, MAX_KEY), metavar="JOB…")


@click.command
@_jobs
def accept(jobs: tuple[int, ...]) -> None:
    """Accept the pictures of these jobs, by their numbers, whatever the checks say.

    What the checks found is kept. A picture that was to stand in for one of them is not made, unless it was begun.
    """
    _decide(jobs, accepted=True)


@click.command
@_jobs
def reject(jobs: tuple[int, ...]) -> None:
    """Reject the pictures of these jobs, by their numbers, whatever the checks say.

    They are moved to the folder "rejected" beside the others; what the checks found is kept. Where their batch has a
    target, others with another seed are queued in their place.
    """
    _decide(jobs, accepted=False)


def _decide(jobs: tuple[int, ...], *, accepted: bool) -> None:
    settings = load_settings()
    database = Database(settings.database)
    queued = decide_over(settings, database, jobs, accepted=accepted)
    what = "1 picture" if len(set(jobs)) == 1 else f"{len(set(jobs)):,} pictures"
    others = "another one is" if queued == 1 else f"{queued:,} others are"
    click.echo(f"{what} {'accepted' if accepted else 'rejected'}" + (f"; {others} queued instead" if queued else ""))
    if queued:
        publish_jobs(settings, database, queued, progress=progress_bar)
