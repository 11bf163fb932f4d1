"""Being told to end: once means after the running job, twice means at its next step, three times means now."""

import os
import signal
import threading
from types import FrameType

from celery.worker import state

from models.types.errors import DatabaseError
from models.types.exit_status import ExitStatus
from worker.events import Event
from worker.log import event, log

#: Seconds that an end in order may take where no job is running: closing a link to a frozen Redis waits this long.
_ORDERLY_END_S = 30.0


class Shutdown:
    """What this process was told, by a signal or by a part of it that cannot go on.

    Celery's own second Ctrl+C gives up the running job without a word to the database.
    """

    def __init__(self) -> None:
        #: Begin nothing new.
        self.asked = threading.Event()
        #: Give the running job back at its next step.
        self.at_once = threading.Event()
        self._ignores_hangup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        #: Whether the program is to begin again in this process, once it has ended.
        self.begins_anew = False
        #: How the process is to end, as far as that is known.
        self.status = ExitStatus.DONE

    def listen(self) -> None:
        """Take the signals that end the worker; to be called on the main thread, after Celery has taken them.

        SIGHUP, a terminal that closes, is one of them: Celery's own answer to it is to start the program again, which
        fails where that was started as `python -m celery`. Where `nohup` has it ignored it stays so.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGHUP, signal.SIG_IGN if self._ignores_hangup else self._on_signal)

    def ask(self, status: ExitStatus = ExitStatus.DONE) -> None:
        """End with `status` when the running job is done."""
        if status is not ExitStatus.DONE:
            self.status = status
        # False and None are Celery's words for "not asked"; 0 is a status.
        state.should_stop = int(self.status)
        self.asked.set()

    def begin_anew(self) -> None:
        """End when the running job is done, and begin again, unless the worker has been told to end."""
        if not self.asked.is_set():
            self.begins_anew = True
            self.ask()

    def cannot_record(self, what: str, error: BaseException, **ids: object) -> None:
        """End because what became of a job, or of a training, could not be recorded."""
        # First, so that nothing that befalls the log keeps the worker at work.
        self.ask(ExitStatus.DATABASE)
        log.critical(
            "%s: %s; the worker stops, and its next start sees to it",
            what,
            error if isinstance(error, DatabaseError) else f"{type(error).__name__}: {error}",
            exc_info=None if isinstance(error, DatabaseError) else error,
            extra=event(Event.WORKER_CANNOT_RECORD, **ids),
        )

    def leave(self, status: ExitStatus) -> None:
        """End with `status` although something may be stuck: in order if that works, else without."""
        self.ask(status)
        forced = threading.Timer(_ORDERLY_END_S, os._exit, (int(status),))
        forced.daemon = True
        forced.start()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.begins_anew = False
        # A line to the log may find its lock held by the very code that was interrupted, so a thread writes it.
        if self.at_once.is_set():
            os._exit(128 + number)
        if self.asked.is_set() or number == signal.SIGQUIT:
            self.at_once.set()
            said = "gives the running job back at its next step and ends; once more ends at once"
        else:
            said = "finishes the running job and ends; once more gives it back"
        self.ask()
        name = signal.Signals(number).name
        threading.Thread(target=lambda: log.info("%s: %s", name, said, extra=event(Event.WORKER_TOLD))).start()
