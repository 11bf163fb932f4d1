"""What holds the queue up, in a line each: a database that takes nothing, a pause, workers that wait or are gone."""

from dataclasses import dataclass
from datetime import datetime

from models.records.database import Database, Session
from models.records.pauses import paused_since
from models.records.workers import KnownWorker, WorkerState, known_workers
from models.settings import Settings
from producer.format import ago, moment

#: Signs of life after which a worker is late.
_MISSED = 3


@dataclass(frozen=True)
class QueueState:
    """What is known of the queue beside its jobs."""

    paused_since: datetime | None
    workers: list[KnownWorker]
    #: What keeps the database from being written, as far as that was looked for.
    database_trouble: str | None

    def lines(self, *, work_left: bool) -> list[str]:
        """Return what a person should know, the most pressing first; nothing while all is well."""
        if self.database_trouble is not None:
            # A worker that cannot write gives no sign of life, nor can it say what it waits for.
            return [f"workers wait: {self.database_trouble}"]
        said = [f"worker on {w.device} waits: {w.waiting_for}" for w in self.workers if w.waiting_for]
        if self.paused_since is not None:
            said.append(f"the queue is paused since {moment(self.paused_since)}: `producer resume` goes on")
        if not work_left:
            return said
        said += [
            f"worker on {w.device}: its last sign of life was {ago(w.seen_at)}; `celery -A worker worker` starts one"
            for w in self.workers
            if w.state is WorkerState.SILENT
        ]
        if not self.workers:
            said.append("no worker is at work: `celery -A worker worker` starts one")
        return said


def queue_state(database: Database, session: Session, settings: Settings) -> QueueState:
    """Read it; where a worker is late with its sign of life, see whether the database could take one."""
    workers = known_workers(session, settings.stall_s)
    late = any(w.quiet_s is None or w.quiet_s > _MISSED * settings.heartbeat_s for w in workers)
    return QueueState(paused_since(session), workers, database.trouble() if late else None)
