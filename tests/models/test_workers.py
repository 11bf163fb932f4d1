"""What workers are there, and what each is at."""

from models.records import claims, publication
from models.records.boots import mark_ready
from models.records.workers import WorkerState, known_workers
from models.types.clock import now


def test_a_worker_is_at_all_jobs_of_its_call(records, read, write):
    boot = records.boot()
    write(mark_ready, boot)
    messages = records.messages(records.batch("night", jobs=5))
    write(publication.mark_published, [message.job for message in messages], now())
    (idle,) = read(known_workers, 60.0)
    assert (idle.state, idle.job_id, idle.batch, idle.other_jobs) == (WorkerState.ALIVE, None, None, 0)
    write(claims.claim, messages[0], boot, None, lambda *_: 4)
    (busy,) = read(known_workers, 60.0)
    assert (busy.job_id, busy.batch, busy.other_jobs) == (messages[0].job, "night", 3)
