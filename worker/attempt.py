"""One attempt, as a list of steps: pass the gate, claim, have the checkpoint, make, settle."""

import time
from importlib.metadata import version

from pydantic import ValidationError

from models.attempts import Claim, claim, refuse
from models.database import Database
from models.errors import (
    AttemptStoppedError,
    CancelledError,
    CheckpointError,
    DatabaseError,
    GenerationError,
    StorageError,
)
from models.exit_status import ExitStatus
from models.message import JobMessage
from models.settings import Settings
from models.states import GuardStep, Outcome
from worker.engine import Engine
from worker.gate import Gate
from worker.heartbeat import Heartbeat
from worker.log import log
from worker.memory_guard import MemoryGuard
from worker.patience import Patience
from worker.picture import encode_png, parameters_text
from worker.settling import Result, Settler
from worker.shutdown import Shutdown

_VERSION = version("nightshift")


class AttemptRunner:
    """Turns messages into settled attempts on behalf of one boot."""

    def __init__(
        self,
        engine: Engine,
        database: Database,
        settings: Settings,
        boot_id: int,
        shutdown: Shutdown,
        patience: Patience,
        guard: MemoryGuard,
    ) -> None:
        self._engine = engine
        self._guard = guard
        self._database = database
        self._settings = settings
        self._boot_id = boot_id
        self._shutdown = shutdown
        self._patience = patience
        self._gate = Gate(database, settings, patience, shutdown)
        self._settler = Settler(database, settings, patience, boot_id)
        self._last_end: float | None = None

    def run(self, message: JobMessage) -> None:
        """Make the message's job, or drop the message if its job is not to be had.

        Raises:
            AttemptStoppedError: the worker was told to end before the job was claimed.
            DatabaseError: what became of the job could not be recorded; if it is still marked as running, the device's
                next boot puts it back.
        """
        if self._gate.pass_through():
            # What the device waited for was a person.
            self._last_end = None
        begun = time.perf_counter()
        claimed = self._patience.until_done(lambda: self._claim(message))
        if claimed is None:
            log.warning("job %d: message dropped: the job is done, cancelled, or not of this database", message.job)
            return
        gap_s = self._gap(claimed, begun)
        with Heartbeat(self._database, claimed, self._settings, self._shutdown, self._patience).beating() as heartbeat:
            result = Result(Outcome.FAILED)
            try:
                self._make(claimed, heartbeat, result)
                result.measured.gap_s = gap_s if result.outcome is Outcome.SUCCEEDED else None
                self._settler.settle(claimed, result, heartbeat.wait)
            except CancelledError as error:
                # The picture may have been made, and waited for room on the disk.
                result.outcome, result.content = Outcome.CANCELLED, None
                result.cause, result.error = "cancelled", str(error)
                self._settler.settle(claimed, result, heartbeat.wait)
            except AttemptStoppedError as error:
                self._settler.give_back(claimed, "stopped", str(error))
            except StorageError as error:
                self._settler.give_back(claimed, "storage", str(error))
            finally:
                self._last_end = time.perf_counter()
        if result.measured.after is not None and self._guard.after_job(result.measured.after) is GuardStep.RESTART:
            self._shutdown.ask(ExitStatus.MEMORY)

    def _claim(self, message: JobMessage) -> Claim | None:
        try:
            with self._database.writing() as session:
                return claim(session, message, self._boot_id)
        except ValidationError as error:
            what = "; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors(include_url=False, include_input=False))
            with self._database.writing() as session:
                refuse(session, message, what)
            log.error("job %d failed: %s", message.job, what)
            return None

    def _gap(self, claimed: Claim, begun: float) -> float | None:
        """Seconds since the attempt before, None if the device was not waited for."""
        gap = None if self._last_end is None else begun - self._last_end
        if gap is None or claimed.queue_wait_s is None:
            return None
        return gap if claimed.queue_wait_s >= gap else None

    def _make(self, claimed: Claim, heartbeat: Heartbeat, result: Result) -> None:
        """Make the picture, or find out why there is none, and say so in `result`.

        Raises:
            CancelledError, AttemptStoppedError: as `heartbeat.check` does.
        """
        spec = claimed.spec
        try:
            result.load_id = self._engine.use(spec.checkpoint)
            # A switch of checkpoints is a load of its own, and no part of this picture.
            heartbeat.begin()
            begun = time.perf_counter()
            made, result.measured = self._engine.make(spec, heartbeat.check)
            encoding = time.perf_counter()
            result.content = encode_png(
                made.picture, parameters_text(spec, spec.checkpoint, self._engine.revision, _VERSION)
            )
            ended = time.perf_counter()
            result.measured.picture_bytes = len(result.content)
            result.measured.save_s, result.measured.total_s = ended - encoding, ended - begun
            result.outcome = Outcome.SUCCEEDED
        except (CancelledError, AttemptStoppedError, DatabaseError):
            raise
        except GenerationError as error:
            result.cause, result.error = error.cause, str(error)
        except CheckpointError as error:
            result.cause, result.error = "checkpoint", str(error)
        except BaseException as error:  # noqa: BLE001 - whatever a library raises, the row must say so
            log.exception("job %d: an error that nobody foresaw", claimed.job_id)
            # torch knows no better word than RuntimeError for what a driver says.
            result.cause = "driver" if type(error) is RuntimeError else "unexpected"
            result.error = f"{type(error).__name__}: {error}"
