"""`producer reject`."""

import click

from models.types.job import MAX_KEY
from producer.actions.decisions import decide_over


@click.command
@click.argument("jobs", nargs=-1, required=True, type=click.IntRange(1, MAX_KEY), metavar="JOB…")
def command(jobs: tuple[int, ...]) -> None:
    """Reject the pictures of these jobs, by their numbers, whatever the checks say.

    They are moved to the folder "rejected" beside the others; what the checks found is kept. Where their batch has a
    target, others with another seed are queued in their place.
    """
    decide_over(jobs, accepted=False)
