"""What holds the queue up, in a line each: a pause, a worker that waits or gives no sign of life, none at all."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from models.pauses import paused_since
from models.workers import KnownWorker, WorkerState, known_workers
from producer.show import ago, moment


@dataclass(frozen=True)
class QueueState:
    """What is known of the queue beside its jobs."""

    paused_since: datetime | None
    workers: list[KnownWorker]

    def lines(self, *, work_left: bool) -> list[str]:
        """Return what a person should know, the most pressing first; nothing while all is well."""
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


def queue_state(session: Session, stall_s: float) -> QueueState:
    """Read it."""
    return QueueState(paused_since(session), known_workers(session, stall_s))
