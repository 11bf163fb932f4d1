"""Leaving out pictures that are nearly the same as an earlier one."""

from collections.abc import Callable, Sequence

from checks.registry import select
from models.figures.made_pictures import MadePicture
from models.pictures.store import PictureStore
from producer.actions.examiners import Examiners


def distinct(pictures: Sequence[MadePicture], store: PictureStore, advance: Callable[[int], None]) -> list[MadePicture]:
    """Return the pictures without those that the check `duplicates` is against, over all batches in their order.

    One that is not there stays, so that it is missed.
    """
    selection = select("duplicates")
    seen = selection.seen()
    assert seen is not None
    kept = []
    with Examiners() as examiners:
        for made, examined in examiners.look_at(pictures, store, selection):
            advance(1)
            if examined.likeness is not None and not seen.look(examined.likeness).passed:
                continue
            if examined.likeness is not None:
                seen.keep(made.job_id, examined.likeness)
            kept.append(made)
    return kept
