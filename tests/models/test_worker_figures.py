"""Who made what, how fast, and who took over what others had lost."""

from datetime import UTC, datetime, timedelta

import pytest

from models.figures.throughput import sums_by_load
from models.figures.workers import WorkerFigures, worker_figures
from models.types.states import Outcome

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def workers(records, read):
    """Return what the workers of a batch did, or of everything."""

    def figures(batch=None):
        batch_id = None if batch is None else batch.id
        return read(lambda session: worker_figures(session, batch_id, sums_by_load(session, batch_id)))

    return figures


@pytest.fixture
def made(records):
    """Return what has a boot make, or lose, a job at a second after the start, in four seconds."""

    def make(job, boot, second, *, number=1, outcome=Outcome.SUCCEEDED, load=None):
        begun = START + timedelta(seconds=second)
        total = {"total_s": 4.0} if outcome == Outcome.SUCCEEDED else {}
        records.attempt(job, boot, load, number, outcome=outcome, started_at=begun, **total)

    return make


def test_each_has_its_own_pace_over_all_of_its_boots(records, workers, made):
    jobs = records.jobs(records.batch(jobs=5))
    mac = [records.boot("studio", "mps", lock_uid="m", device_name="M2 Max") for _ in range(2)]
    loads = [records.load(boot) for boot in mac]
    card = records.boot("tower", "cuda", lock_uid="c", device_name="RTX 4090")
    card_load = records.load(card)
    made(jobs[0], mac[0], 0, load=loads[0])
    made(jobs[1], mac[1], 12, load=loads[1])
    for number, second in enumerate((0, 4, 8), 2):
        made(jobs[number], card, second, load=card_load)
    assert workers() == [
        WorkerFigures("studio", "mps", "M2 Max", 2, 16.0, 450.0, 0.5, 0, {}),
        WorkerFigures("tower", "cuda", "RTX 4090", 3, 12.0, 900.0, 1.0, 0, {}),
    ]


def test_what_one_lost_another_took_over(records, workers, made):
    batch = records.batch(jobs=3)
    jobs = records.jobs(batch)
    lost = records.boot("laptop", "cpu", lock_uid="l", device_name="a processor")
    other = records.boot("tower", "cuda", lock_uid="c", device_name="RTX 4090")
    load = records.load(other)
    made(jobs[0], lost, 0, outcome=Outcome.LOST)
    made(jobs[0], other, 0, number=2, load=load)
    # Its own, from an earlier life: it took over nothing of another's.
    made(jobs[1], other, 4, outcome=Outcome.LOST)
    made(jobs[1], other, 8, number=2, load=load)
    # A failure is no loss.
    made(jobs[2], lost, 12, outcome=Outcome.FAILED)
    made(jobs[2], other, 16, number=2, load=load)
    for found in (workers(), workers(batch)):
        assert found == [
            WorkerFigures("laptop", "cpu", "a processor", 0, None, None, None, 1, {}),
            WorkerFigures("tower", "cuda", "RTX 4090", 3, 20.0, 540.0, 0.6, 1, {"cpu of laptop": 1}),
        ]


def test_another_batch_is_none_of_it(records, workers, made):
    batch, other = records.batch("one"), records.batch("other", digest="o")
    boot = records.boot(lock_uid="a")
    load = records.load(boot)
    made(records.jobs(other)[0], boot, 0, load=load)
    assert workers(batch) == []
    assert [figure.pictures for figure in workers(other)] == [1]


def test_two_devices_of_a_host_are_two_workers(records, workers, made):
    jobs = records.jobs(records.batch(jobs=2))
    for job, device in zip(jobs, ("cuda:0", "cuda:1"), strict=True):
        boot = records.boot("tower", device, lock_uid=device)
        made(job, boot, 0, load=records.load(boot))
    assert [(figure.device, figure.pictures) for figure in workers()] == [("cuda:0", 1), ("cuda:1", 1)]
