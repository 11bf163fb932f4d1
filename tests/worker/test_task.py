"""What the task says of a job whose end cannot be recorded: it is the claimed one's, whichever the message named."""

from types import SimpleNamespace
from typing import Any

import pytest
from celery.exceptions import Reject

from models.types.errors import DatabaseError
from models.types.message import JobMessage
from worker.queue.deliveries import Deliveries, Delivery
from worker.task import GenerateTask

MESSAGE = JobMessage(job=3, batch="0" * 32)


@pytest.mark.parametrize(
    ("claimed", "said"), [(7, ["job 7"]), (None, ["job 3"])], ids=["after the claim", "at the claim"]
)
def test_a_job_that_cannot_be_recorded_is_named_by_its_own_number(claimed, said):
    def refuse(*_):
        raise DatabaseError("the database is locked")

    told = []
    claim = refuse if claimed is None else lambda _message, _queue: [SimpleNamespace(job_id=claimed)]
    claimer: Any = SimpleNamespace(claim=claim)
    runner: Any = SimpleNamespace(run=refuse)
    shutdown: Any = SimpleNamespace(cannot_record=lambda what, _error, **_: told.append(what))
    newer: Any = None
    segments: Any = None
    task = GenerateTask(claimer, runner, segments, newer, Deliveries(), shutdown, ["jobs"])
    with pytest.raises(Reject) as rejected:
        task._make(MESSAGE, "jobs", Delivery(print, print, ()))
    assert rejected.value.requeue
    assert told == said
