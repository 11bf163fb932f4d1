"""Looking at many pictures at once: a process for each processor."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from checks.asked import Asked
from checks.examiner import Examined, Examiner
from checks.registry import Selection, select
from models.figures.made_pictures import MadePicture
from models.pictures.store import PictureStore
from models.types.errors import StorageError


class Examiners:
    """A thread for each processor, and a process that each of them has look; they end with the context."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=os.cpu_count() or 1)
        self._own = threading.local()
        self._all: list[Examiner] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # An interrupted check leaves at once what it has not begun.
        self._threads.shutdown(cancel_futures=True)
        for examiner in self._all:
            examiner.close()

    def examine(
        self, pictures: Sequence[MadePicture], store: PictureStore, selection: Selection
    ) -> Iterator[tuple[MadePicture, Examined]]:
        """Yield the pictures in their order, each with what the checks of single pictures find of it."""
        found = self._threads.map(lambda one: self._examine_one(one, store, selection), pictures)
        return zip(pictures, found, strict=True)

    def _examine_one(self, one: MadePicture, store: PictureStore, selection: Selection) -> Examined:
        try:
            content = store.read(one.picture)
        except StorageError:
            return Examined([], is_picture=False)
        if not hasattr(self._own, "examiner"):
            self._own.examiner = Examiner()
            self._all.append(self._own.examiner)
        examined: Examined = self._own.examiner.examine(
            content, Asked(one.spec.prompt, one.spec.width, one.spec.height, one.attributes), selection
        )
        return examined


def distinct(pictures: Sequence[MadePicture], store: PictureStore, advance: Callable[[int], None]) -> list[MadePicture]:
    """Return the pictures without those that the check `duplicates` is against, over all batches in their order.

    One that is not there stays, so that it is missed.
    """
    selection = select("duplicates")
    seen = selection.seen()
    assert seen is not None
    kept = []
    with Examiners() as examiners:
        for made, examined in examiners.examine(pictures, store, selection):
            advance(1)
            if examined.likeness is not None and not seen.compare(examined.likeness).passed:
                continue
            if examined.likeness is not None:
                seen.keep(made.job_id, examined.likeness)
            kept.append(made)
    return kept
