"""The rest of an attempt, beside the device: save, judge and settle while the next picture is made."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import replace

from models.types.errors import LimitsChangedError, NightshiftError
from models.types.states import Outcome
from worker.attempt.attempt import Attempt, through
from worker.attempt.judging import Judge
from worker.attempt.saving import Saver
from worker.attempt.settling import Settler
from worker.care.in_hand import InHand
from worker.events import Event
from worker.log import about, event, log
from worker.shutdown import Shutdown

#: How long the device's thread has to begin the next job before the last one is finished beside it. That takes 3 ms, or
#: 5 where it shares Python and the database with a thread that finishes.
_HEAD_START_S = 0.02


class Finisher:
    """Finishes one attempt at a time, on a thread of its own.

    One more may wait for it, and its device with it: so no more than two pictures are ever in memory, and two jobs in
    doubt, however slow the disk is. `publish` puts a job on the queue that stands in for one that was not accepted, and
    `tell` says what became of an attempt. Whatever goes wrong here is no matter of the device, and nothing of it is
    raised there.
    """

    def __init__(
        self,
        judge: Judge,
        saver: Saver,
        settler: Settler,
        shutdown: Shutdown,
        publish: Callable[[int], object],
        in_hand: InHand,
        tell: Callable[[Attempt], object],
    ) -> None:
        self._judge = judge
        self._steps = (saver.save, self._judge_and_settle)
        self._settler = settler
        self._shutdown = shutdown
        self._publish = publish
        self._in_hand = in_hand
        self._tell = tell
        self._device_is_busy = threading.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="finisher")
        # The thread begins now and not with the first picture, for which it would be too late to find that none can.
        self._last: Future[None] = self._thread.submit(self._device_is_busy.clear)

    @property
    def is_free(self) -> bool:
        """Whether `hand_over` would return at once."""
        return self._last.done()

    def hand_over(self, attempt: Attempt, beating: ExitStack) -> None:
        """Have the attempt finished, once the one before is; `beating` is closed with it."""
        wait([self._last])
        self._device_is_busy.clear()
        self._last = self._thread.submit(self._finish, attempt, beating)

    def give_way_no_more(self) -> None:
        """Note that the device is busy with the next picture."""
        self._device_is_busy.set()

    def close(self) -> None:
        """Wait until the last attempt is finished."""
        self._thread.shutdown()
        self._judge.close()

    def _finish(self, attempt: Attempt, beating: ExitStack) -> None:
        self._device_is_busy.wait(_HEAD_START_S)
        with about(**attempt.claim.ids):
            try:
                attempt = self._record(attempt)
            except BaseException as error:  # noqa: BLE001 - raised here it would reach nobody
                self._shutdown.cannot_record(attempt.claim.job_id, error)
                _do_after_all(attempt, beating.close)
                return
            self._in_hand.let_go(attempt.claim)
            _do_after_all(attempt, beating.close)
            _do_after_all(attempt, lambda: self._tell(attempt))
            if (replacement := attempt.replaced_by) is not None:
                # One that is not published stays in the database, for whoever looks after the queue.
                _do_after_all(attempt, lambda: self._publish(replacement))

    def _judge_and_settle(self, attempt: Attempt) -> Attempt:
        while True:
            try:
                return self._settler.settle(self._judge.judge(attempt))
            except LimitsChangedError as error:
                # `producer check` came between: by its limits, as all others of the batch.
                attempt = replace(attempt, claim=replace(attempt.claim, checks=error.limits))

    def _record(self, attempt: Attempt) -> Attempt:
        if attempt.outcome is Outcome.RUNNING:
            attempt = through(self._steps, attempt)
        return attempt if attempt.is_owned is not None else self._settler.settle(attempt)


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
