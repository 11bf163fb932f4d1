"""The rest of an attempt, beside the device: save, judge and settle while the next picture is made."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

from models.states import Outcome
from worker.attempt import Attempt, through
from worker.attempt_log import tell
from worker.judging import Judge
from worker.log import about
from worker.saving import Saver
from worker.settling import Settler
from worker.shutdown import Shutdown

#: How long the device's thread has to begin the next job before the last one is finished beside it. That takes 3 ms, or
#: 5 where it shares Python and the database with a thread that finishes.
_HEAD_START_S = 0.02


class Finisher:
    """Finishes one attempt at a time, on a thread of its own.

    One more may wait for it, and its device with it: so no more than two pictures are ever in memory, and two jobs in
    doubt, however slow the disk is. `publish` puts a job on the queue that stands in for one that was not accepted.
    """

    def __init__(
        self, judge: Judge, saver: Saver, settler: Settler, shutdown: Shutdown, publish: Callable[[int], object]
    ) -> None:
        self._judge = judge
        self._steps = (saver.save, judge.judge, settler.settle)
        self._settler = settler
        self._shutdown = shutdown
        self._publish = publish
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="finisher")
        self._last: Future[None] | None = None
        self._device_is_busy = threading.Event()

    @property
    def is_free(self) -> bool:
        """Whether `hand_over` would return at once."""
        return self._last is None or self._last.done()

    def hand_over(self, attempt: Attempt, beating: ExitStack) -> None:
        """Have the attempt finished, once the one before is; `beating` is closed with it."""
        if self._last is not None:
            self._last.result()
        self._device_is_busy.clear()
        self._last = self._thread.submit(self._finish, attempt, beating)

    def give_way_no_more(self) -> None:
        """Note that the device is busy with the next picture."""
        self._device_is_busy.set()

    def close(self) -> None:
        """Wait until the last attempt is finished."""
        self._thread.shutdown()
        self._judge.close()
        if self._last is not None:
            self._last.result()

    def _finish(self, attempt: Attempt, beating: ExitStack) -> None:
        self._device_is_busy.wait(_HEAD_START_S)
        with beating, about(**attempt.claim.ids):
            try:
                if attempt.outcome is Outcome.RUNNING:
                    attempt = through(self._steps, attempt)
                if attempt.is_owned is None:
                    attempt = self._settler.settle(attempt)
            except Exception as error:  # noqa: BLE001 - raised here it would reach nobody, or the next job's attempt
                self._shutdown.cannot_record(attempt.claim.job_id, error)
                return
            tell(attempt)
        if attempt.replaced_by is not None:
            self._publish(attempt.replaced_by)
