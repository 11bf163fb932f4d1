"""The rest of an attempt, beside the device, while that makes the next picture."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import partial

from models.types.errors import NightshiftError
from worker.attempt.attempt import Attempt
from worker.attempt.pipeline import Pipeline
from worker.care.in_hand import InHand
from worker.events import Event
from worker.log import about, event, log
from worker.shutdown import Shutdown

#: How long the device's thread has to begin the next job before the last one is finished beside it. That takes 3 ms, or
#: 5 where it shares Python and the database with a thread that finishes.
_HEAD_START_S = 0.02
_LOOK_S = 1.0


class Finisher:
    """Finishes one attempt at a time, on a thread of its own.

    Those of one call more may wait for it, and their device with them: so no more than the pictures of two calls are
    ever in memory, and their jobs in doubt, however slow the disk is. Whatever goes wrong here is no matter of the
    device, and nothing of it is raised there.
    """

    def __init__(self, pipeline: Pipeline, in_hand: InHand, shutdown: Shutdown) -> None:
        self._pipeline = pipeline
        self._in_hand = in_hand
        self._shutdown = shutdown
        self._device_is_busy = threading.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="finisher")
        # The thread begins now and not with the first picture, for which it would be too late to find that none can.
        self._last: Future[None] = self._thread.submit(self._device_is_busy.clear)

    @property
    def is_free(self) -> bool:
        """Whether `hand_over` would return at once."""
        return self._last.done()

    def hand_over(self, attempts: Sequence[Attempt], beating: ExitStack) -> None:
        """Have the attempts of one call finished, once those before are; `beating` is closed with the last of them."""
        while wait([self._last], _LOOK_S).not_done:
            # What hangs there is noticed by the attempts that do.
            attempts[0].heartbeat.begin()
        self._device_is_busy.clear()
        self._last = self._thread.submit(self._finish, attempts, beating)

    def note_device_busy(self) -> None:
        """Note that the device is busy with the next picture."""
        self._device_is_busy.set()

    def close(self) -> None:
        """Wait until the last attempt is finished."""
        self._thread.shutdown()

    def _finish(self, attempts: Sequence[Attempt], beating: ExitStack) -> None:
        self._device_is_busy.wait(_HEAD_START_S)
        for attempt in attempts:
            # The time that the one before took was no part of it.
            attempt.heartbeat.begin()
            with about(**attempt.claim.ids):
                self._finish_one(attempt, beating if attempt is attempts[-1] else ExitStack())

    def _finish_one(self, attempt: Attempt, beating: ExitStack) -> None:
        try:
            attempt = self._pipeline.finish(attempt)
        except BaseException as error:  # noqa: BLE001 - raised here it would reach nobody
            self._shutdown.cannot_record(f"job {attempt.claim.job_id}", error, job=attempt.claim.job_id)
            _do_after_all(attempt, beating.close)
            return
        self._in_hand.let_go(attempt.claim)
        _do_after_all(attempt, beating.close)
        for step in self._pipeline.afterwards:
            _do_after_all(attempt, partial(step, attempt))


def _do_after_all(attempt: Attempt, action: Callable[[], object]) -> None:
    """Do what follows the end of an attempt; that nobody can have it undone is no reason to end."""
    try:
        action()
    except NightshiftError as error:
        log.warning("job %d is done with, but: %s", attempt.claim.job_id, error, extra=event(Event.FINISHING_FAILED))
    except BaseException:  # noqa: BLE001 - the picture is made, and the next one is to be
        log.exception(
            "job %d is done with, and then an error came that nobody foresaw",
            attempt.claim.job_id,
            extra=event(Event.FINISHING_FAILED),
        )
