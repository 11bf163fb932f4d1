"""What a person decides of pictures that were made."""

from collections.abc import Collection

import click

from models.pictures.store import PictureStore
from models.records.acceptance import decide
from models.records.database import Database
from models.settings import load_settings
from producer.actions.queueing import publish_with_progress


def decide_over(jobs: Collection[int], *, accepted: bool) -> None:
    """Accept or reject the pictures of these jobs, say so, and queue what is to stand in for them.

    Raises:
        BadInputError: naming every job that is not there, or has no picture; then nothing was changed.
        BrokerError: what is not published stays in the database, and the message says how to go on.
    """
    settings = load_settings()
    database = Database(settings.database)
    with database.writing() as session:
        queued = decide(session, PictureStore(settings.data_dir), jobs, accepted=accepted)
    what = "1 picture" if len(set(jobs)) == 1 else f"{len(set(jobs)):,} pictures"
    others = "another one is" if len(queued) == 1 else f"{len(queued):,} others are"
    click.echo(f"{what} {'accepted' if accepted else 'rejected'}" + (f"; {others} queued instead" if queued else ""))
    if queued:
        publish_with_progress(settings, database, len(queued))
