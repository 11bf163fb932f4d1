"""One attempt, as a list of steps: claim, have the checkpoint, make, save, settle."""

import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from models.attempts import Claim, claim, give_back, settle
from models.boots import note_peak
from models.database import Database
from models.errors import CancelledError, CheckpointError, DatabaseError, GenerationError, StorageError
from models.job import JobMessage
from models.measurement import Measurement
from models.pictures import picture_path
from models.settings import Settings
from models.states import Outcome
from worker.engine import Engine
from worker.heartbeat import Heartbeat
from worker.log import gigabytes, log
from worker.memory import rss_lifetime_peak
from worker.picture import encode_png, parameters_text, write_picture

_VERSION = version("nightshift")


@dataclass
class _Result:
    """How an attempt went, as far as it got."""

    outcome: Outcome
    measured: Measurement
    load_id: int | None = None
    picture: Path | None = None
    cause: str | None = None
    error: str | None = None


class AttemptRunner:
    """Turns messages into settled attempts on behalf of one boot."""

    def __init__(self, engine: Engine, database: Database, settings: Settings, boot_id: int) -> None:
        self._engine = engine
        self._database = database
        self._settings = settings
        self._boot_id = boot_id
        self._last_end: float | None = None

    def run(self, message: JobMessage) -> None:
        """Make the message's job, or drop the message if its job is not to be had.

        Raises:
            StorageError: the picture cannot be written; the job is back on the queue.
            DatabaseError: the result could not be recorded; the job is still marked as running, and the
                device's next boot puts it back.
        """
        begun = time.perf_counter()
        with self._database.writing() as session:
            claimed = claim(session, message, self._boot_id)
        if claimed is None:
            log.warning("job %d: message dropped: the job is done, cancelled, or of another database", message.job)
            return
        try:
            result = self._make(claimed, begun)
        except StorageError as error:
            with self._database.writing() as session:
                give_back(session, claimed, "storage", str(error))
            raise
        with self._database.writing() as session:
            mine = settle(
                session,
                claimed,
                result.outcome,
                result.measured,
                load_id=result.load_id,
                picture=str(result.picture) if result.picture else None,
                cause=result.cause,
                error=result.error,
            )
            note_peak(session, self._boot_id, rss_lifetime_peak())
        _tell(claimed, result, mine)

    def _gap(self, claimed: Claim, begun: float) -> float | None:
        """Seconds since the attempt before, None if the device was not waited for."""
        gap = None if self._last_end is None else begun - self._last_end
        return gap if gap is not None and claimed.queue_wait_s >= gap else None

    def _make(self, claimed: Claim, begun: float) -> _Result:
        measured, load_id = Measurement(), None
        gap_s = self._gap(claimed, begun)
        with Heartbeat(self._database, claimed, self._settings.heartbeat_s).beating() as heartbeat:
            try:
                loading = time.perf_counter()
                load_id = self._engine.use(claimed.spec.checkpoint)
                # A switch of checkpoints is a load of its own, and no part of this picture.
                begun += time.perf_counter() - loading
                made, measured = self._engine.make(claimed.spec, heartbeat.check)
                saving = time.perf_counter()
                relative = picture_path(claimed.batch_id, claimed.job_id)
                parameters = parameters_text(claimed.spec, claimed.spec.checkpoint, self._engine.revision, _VERSION)
                content = encode_png(made.picture, parameters)
                write_picture(self._settings.data_dir / relative, content)
                measured.picture_bytes = len(content)
                ended = time.perf_counter()
                measured.save_s, measured.total_s = ended - saving, ended - begun
                measured.gap_s = gap_s
                return _Result(Outcome.SUCCEEDED, measured, load_id, picture=relative)
            except (StorageError, DatabaseError):
                raise
            except CancelledError as error:
                return _Result(Outcome.CANCELLED, measured, load_id, cause="cancelled", error=str(error))
            except GenerationError as error:
                return _Result(Outcome.FAILED, measured, load_id, cause=error.cause, error=str(error))
            except CheckpointError as error:
                return _Result(Outcome.FAILED, measured, load_id, cause="checkpoint", error=str(error))
            except BaseException as error:  # noqa: BLE001 - whatever a library raises, the row must say so
                log.exception("job %d: an error that nobody foresaw", claimed.job_id)
                text = f"{type(error).__name__}: {error}"
                return _Result(Outcome.FAILED, measured, load_id, cause="unexpected", error=text)
            finally:
                self._last_end = time.perf_counter()


def _tell(claimed: Claim, result: _Result, mine: bool) -> None:
    """Write the one line that the log has of an attempt."""
    m = result.measured
    fields = {"job": claimed.job_id, "batch": claimed.batch_name, "attempt": claimed.number, "outcome": result.outcome}
    if not mine:
        log.warning("job %d: not settled, it is no longer this attempt's", claimed.job_id, extra=fields)
    elif result.outcome is Outcome.SUCCEEDED:
        assert m.peak is not None
        cut = f"; prompt cut after 77 tokens: …{m.prompt_cut[:60]}" if m.prompt_cut else ""
        log.info(
            "job %d (%s) done in %.2f s: encode %.3f, denoise %.3f, decode %.3f, check %.3f, save %.3f; "
            "%.2f steps/s; memory peak %s%s%s",
            claimed.job_id,
            claimed.batch_name,
            m.total_s,
            m.encode_s,
            m.denoise_s,
            m.decode_s,
            m.check_s,
            m.save_s,
            m.steps_per_s,
            gigabytes(m.peak.rss),
            f", device {gigabytes(m.peak.device_driver)}" if m.peak.device_driver is not None else "",
            cut,
            extra=fields | m.columns() | {"picture": str(result.picture)},
        )
    else:
        log.error(
            "job %d (%s) %s: %s",
            claimed.job_id,
            claimed.batch_name,
            result.outcome,
            result.error,
            extra=fields | {"cause": result.cause},
        )
