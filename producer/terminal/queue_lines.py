"""What holds the queue up, in a line each: a database that takes nothing, a pause, workers that wait or are gone."""

from models.records.workers import WorkerState
from producer.actions.status import QueueState
from producer.format import ago, moment


def queue_lines(state: QueueState, *, work_left: bool) -> list[str]:
    """Return what a person should know, the most pressing first; nothing while all is well."""
    if state.database_trouble is not None:
        # A worker that cannot write gives no sign of life, nor can it say what it waits for.
        return [f"workers wait: {state.database_trouble}"]
    said = [f"worker on {w.device} waits: {w.waiting_for}" for w in state.workers if w.waiting_for]
    if state.paused_since is not None:
        said.append(f"the queue is paused since {moment(state.paused_since)}: `producer resume` goes on")
    if not work_left:
        return said
    said += [
        f"worker on {w.device}: its last sign of life was {ago(w.seen_at)}; `celery -A worker worker` starts one"
        for w in state.workers
        if w.state is WorkerState.SILENT
    ]
    if not state.workers:
        said.append("no worker is at work: `celery -A worker worker` starts one")
    elif any(worker.state is not WorkerState.SILENT for worker in state.workers):
        said += [
            f"jobs wait on the queue {queue}, and no worker takes from it: `NIGHTSHIFT_QUEUES={queue} "
            "celery -A worker worker` starts one"
            for queue in state.untaken
        ]
    return said
