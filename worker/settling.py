"""Ending an attempt: the picture gets its name and the row its result, both or neither."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from models.attempts import Claim, Ended, give_back, postpone, settle
from models.batches import LONGEST_WAIT
from models.boots import note_peak
from models.database import Database
from models.errors import DatabaseError
from models.measurement import Measurement
from models.pictures import picture_path
from models.settings import Settings
from models.states import Outcome
from worker.kept import Kept, keep, let_go
from worker.log import gigabytes, log
from worker.memory import rss_lifetime_peak
from worker.patience import Patience
from worker.picture import aside_path, put_in_place, write_aside

#: Causes that may pass: when another program ends, or with another try of the driver's.
_PASSING = ("out_of_memory", "driver")


@dataclass
class Result:
    """How an attempt went, as far as it got."""

    outcome: Outcome
    measured: Measurement = field(default_factory=Measurement)
    load_id: int | None = None
    #: The picture's file.
    content: bytes | None = None
    cause: str | None = None
    error: str | None = None


class Settler:
    """Writes what became of attempts, on behalf of one boot."""

    def __init__(self, database: Database, settings: Settings, patience: Patience, boot_id: int) -> None:
        self._database = database
        self._settings = settings
        self._patience = patience
        self._boot_id = boot_id

    def settle(self, claimed: Claim, result: Result, wait: Callable[[float], None]) -> None:
        """Save the picture and settle, as late as it takes; `wait` waits so many seconds for a disk that is full.

        The picture is named within the transaction that finds the job still to be this attempt's: an attempt that
        comes too late leaves no file.

        Raises:
            DatabaseError, StorageError: the worker was told to end before it worked; nothing is settled, but a picture
                that lies aside is kept for the next worker to record.
        """
        path = self._settings.data_dir / picture_path(claimed.batch_id, claimed.job_id)
        aside = aside_path(path, claimed.attempt_id)
        before_s = result.measured.save_s, result.measured.total_s

        def attempt() -> bool:
            if result.content is None:
                return self._write(claimed, result)
            if not aside.exists():
                begun = time.perf_counter()
                write_aside(path, result.content, claimed.attempt_id)
                took = time.perf_counter() - begun
                result.measured.save_s, result.measured.total_s = ((before or 0) + took for before in before_s)
            try:
                return self._write(claimed, result, aside, path)
            except DatabaseError:
                keep(aside, Kept(claimed, result.measured, result.load_id, Ended.now()))
                raise

        mine = self._patience.until_done(attempt, wait)
        let_go(aside)
        self._tell(claimed, result, mine)

    def give_back(self, claimed: Claim, cause: str, error: str) -> None:
        """Put the job back on the queue without a result."""
        with self._database.writing() as session:
            mine = give_back(session, claimed, cause, error)
        if mine:
            log.warning("job %d went back to the queue: %s", claimed.job_id, error)

    def _write(self, claimed: Claim, result: Result, aside: Path | None = None, path: Path | None = None) -> bool:
        with self._database.writing() as session:
            if self._tries_again(claimed, result):
                mine = postpone(
                    session,
                    claimed,
                    self._wait_s(claimed),
                    result.measured,
                    load_id=result.load_id,
                    cause=result.cause or "",
                    error=result.error or "",
                )
            else:
                mine = settle(
                    session,
                    claimed,
                    result.outcome,
                    result.measured,
                    load_id=result.load_id,
                    picture=str(picture_path(claimed.batch_id, claimed.job_id)) if result.content else None,
                    cause=result.cause,
                    error=result.error,
                )
            if mine and aside is not None and path is not None:
                put_in_place(aside, path)
            note_peak(session, self._boot_id, rss_lifetime_peak())
        return mine

    def _tries_again(self, claimed: Claim, result: Result) -> bool:
        return result.cause in _PASSING and claimed.failures < self._settings.retries

    def _wait_s(self, claimed: Claim) -> float:
        """Seconds until the job is tried again: longer after each failure, and not the same for all jobs."""
        usual: float = min(self._settings.retry_s * 2**claimed.failures, LONGEST_WAIT.total_seconds())
        return usual * random.uniform(0.5, 1)  # noqa: S311 - no secret

    def _tell(self, claimed: Claim, result: Result, mine: bool) -> None:
        """Write the one line that the log has of an attempt."""
        m = result.measured
        fields = {"job": claimed.job_id, "batch": claimed.batch_name, "attempt": claimed.number}
        fields["outcome"] = result.outcome
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
                extra=fields | m.columns() | {"picture": str(picture_path(claimed.batch_id, claimed.job_id))},
            )
        else:
            log.error(
                "job %d (%s) %s: %s%s",
                claimed.job_id,
                claimed.batch_name,
                result.outcome,
                result.error,
                "; it is tried again later" if self._tries_again(claimed, result) else "",
                extra=fields | {"cause": result.cause},
            )
