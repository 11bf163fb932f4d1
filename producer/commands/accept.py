"""`producer accept`."""

import click

from models.types.job import MAX_KEY
from producer.actions.decisions import decide_over


@click.command
@click.argument("jobs", nargs=-1, required=True, type=click.IntRange(1, MAX_KEY), metavar="JOB…")
def command(jobs: tuple[int, ...]) -> None:
    """Accept the pictures of these jobs, by their numbers, whatever the checks say.

    What the checks found is kept. A picture that was to stand in for one of them is not made, unless it was begun.
    """
    decide_over(jobs, accepted=True)
