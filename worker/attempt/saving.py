"""The step of an attempt that writes its picture: aside, until the job is known to be still this attempt's."""

import time
from dataclasses import replace
from importlib.metadata import version

from models.pictures.mark import picture_mark
from models.pictures.store import PictureStore
from models.types.states import Outcome
from worker.attempt.attempt import Attempt
from worker.attempt.png import encode_png, parameters_text
from worker.care.retrying import Retrier

_VERSION = version("nightshift")


class Saver:
    """Encodes pictures and writes them to the store."""

    def __init__(self, pictures: PictureStore, retrier: Retrier) -> None:
        self._pictures = pictures
        self._retrier = retrier

    def save(self, attempt: Attempt) -> Attempt:
        """Write the picture aside, as late as it takes where the disk is full or no file can be opened.

        Raises:
            CancelledError, LostClaimError, AttemptStoppedError: as `Heartbeat.wait` does.
            StorageError: the worker was told to end before there was room.
        """
        assert attempt.picture is not None
        assert attempt.load is not None
        claim, spec = attempt.claim, attempt.claim.spec
        begun = time.perf_counter()
        mark = picture_mark(claim.batch_uid, claim.job_id)
        measured = attempt.measured
        text = parameters_text(
            spec,
            spec.checkpoint,
            attempt.load.revision,
            _VERSION,
            measured.pictures_a_call,
            measured.form,
            measured.loras or (),
        )
        content = encode_png(attempt.picture, text, mark)
        encoded_s = time.perf_counter() - begun

        def find_name() -> str:
            return self._pictures.free_name(claim.batch_id, claim.job_id, mark)

        name = self._retrier.until_done(find_name, attempt.wait)
        aside = self._pictures.aside(name, claim.attempt_id)

        def write() -> float:
            begun = time.perf_counter()
            aside.write(content)
            return time.perf_counter() - begun

        # What was waited for, a person with a full disk, is no part of it.
        try:
            save_s = encoded_s + self._retrier.until_done(write, attempt.wait)
        except BaseException:
            # Nobody else knows of it: what becomes of the attempt now has no picture.
            aside.remove()
            raise
        measured = replace(
            attempt.measured,
            timings=replace(attempt.measured.timings, save_s=save_s),
            picture_bytes=len(content),
        )
        return replace(attempt, outcome=Outcome.SUCCEEDED, measured=measured, name=name, content=content, picture=None)
