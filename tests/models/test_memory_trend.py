"""The slope of memory over a boot's pictures, against the same lines fitted by numpy."""

import numpy as np
import pytest
from sqlalchemy import insert

from models.figures.memory_trend import SETTLING_JOBS, TREND_KINDS, memory_trend
from models.records.tables import Attempt
from models.types.states import Outcome

EVERYTHING = (0, 10**9)
GB = 10**9


@pytest.fixture
def boot(records):
    return records.boot()


@pytest.fixture
def loads(records, boot):
    return [records.load(boot) for _ in range(3)]


@pytest.fixture
def make(records, boot):
    """Return what writes successes with the given resident memory, and other figures as they are named."""

    def make(load_id, rss, boot_id=None, **values):
        jobs = records.jobs(records.batch(f"batch-{len(records.attempts())}", len(rss)))
        for number, (job, count) in enumerate(zip(jobs, rss, strict=True)):
            row = {"total_s": 1.0} | {name: value[number] for name, value in values.items()}
            records.attempt(job, boot_id or boot, load_id, rss_after_bytes=count, **row)

    return make


@pytest.fixture
def settled(make, loads):
    """The boot's first jobs, which memory still grows over by a gigabyte each."""
    make(loads[0], [n * GB for n in range(SETTLING_JOBS)])


def test_the_slope_is_that_of_least_squares_and_each_load_has_a_level_of_its_own(make, read, boot, loads, settled):
    draw = np.random.default_rng(1)
    pictures = (40, 3, 25)
    places, levels, counts = np.arange(sum(pictures)), np.repeat((7 * GB, GB, 3 * GB), pictures), []
    growth = {"rss": 3e6, "device_allocated": 2e6, "device_driver": -1e6, "swap": 0.0}
    for kind in TREND_KINDS:
        noise = draw.normal(0, 1e7, len(places))
        counts.append([int(value) for value in levels + growth[kind] * places + noise])
    begun = 0
    for load, number in zip(loads, pictures, strict=True):
        part = slice(begun, begun + number)
        rss, *others = (values[part] for values in counts)
        named = (f"{kind}_after_bytes" for kind in TREND_KINDS if kind != "rss")
        make(load, rss, **dict(zip(named, others, strict=True)))
        begun += number

    trend = read(memory_trend, boot, *EVERYTHING)
    assert (trend.boot, trend.pictures) == (boot, len(places))
    per_load = np.repeat(np.eye(3), pictures, axis=0)
    for kind, values in zip(TREND_KINDS, counts, strict=True):
        slope = np.linalg.lstsq(np.column_stack([places, per_load]), np.array(values, float), rcond=None)[0][0]
        assert trend.per_100_pictures[kind] == pytest.approx(100 * slope, rel=1e-6)


def test_too_few_pictures_are_not_measured(make, read, boot, loads, settled):
    make(loads[0], [GB] * 19)
    assert read(memory_trend, boot, *EVERYTHING) is None
    make(loads[0], [GB])
    assert read(memory_trend, boot, *EVERYTHING).per_100_pictures["rss"] == 0.0


def test_a_boot_that_has_not_settled_has_no_trend(make, read, boot, loads):
    make(loads[0], [n * GB for n in range(SETTLING_JOBS - 1)])
    assert read(memory_trend, boot, *EVERYTHING) is None


def test_a_picture_to_each_load_has_no_trend(records, make, read, boot, settled):
    for number in range(20):
        make(records.load(boot), [number * GB])
    assert read(memory_trend, boot, *EVERYTHING).per_100_pictures["rss"] is None


def test_what_was_not_measured_is_none_and_never_zero(make, read, boot, loads, settled):
    few = [GB] * 19 + [None] * 6
    make(loads[0], [GB] * 25, device_driver_after_bytes=[None] * 25, swap_after_bytes=few)
    assert read(memory_trend, boot, *EVERYTHING).per_100_pictures == dict.fromkeys(TREND_KINDS) | {"rss": 0.0}


def test_only_pictures_of_the_boot_and_between_the_two_attempts_count(records, make, read, boot, loads, settled):
    make(loads[0], [5 * GB, 9 * GB] * 15)
    first = len(records.attempts()) + 1
    make(loads[0], [GB + n * 10**6 for n in range(15)])
    another = records.boot()
    make(records.load(another), [5 * GB, 9 * GB] * 15, boot_id=another)
    failed = [Outcome.FAILED, Outcome.LOST] * 5
    make(loads[0], [None] * 10, outcome=failed, total_s=[None] * 10)
    make(loads[0], [GB + n * 10**6 for n in range(15, 30)])
    last = len(records.attempts())
    make(loads[0], [7 * GB, 2 * GB] * 15)
    trend = read(memory_trend, boot, first, last)
    assert trend.pictures == 30
    assert trend.per_100_pictures["rss"] == pytest.approx(100 * 10**6)


def test_no_more_than_the_newest_thousand_are_looked_at(records, read, boot, loads):
    batch = records.batch("long", 1)
    (job,) = records.jobs(batch)
    rows = [
        {
            "job_id": job.id, "batch_id": batch.id, "boot_id": boot, "load_id": loads[0], "number": number,
            "outcome": Outcome.SUCCEEDED, "started_at": job.queued_at, "queue_wait_s": 0.0, "total_s": 1.0,
            # Flat, and before that falling.
            "rss_after_bytes": max(GB, (3000 - number) * GB),
        }
        for number in range(3999)
    ]  # fmt: skip
    with records.database.writing() as session:
        session.execute(insert(Attempt), rows)
    trend = read(memory_trend, boot, *EVERYTHING)
    assert (trend.pictures, trend.per_100_pictures["rss"]) == (1000, 0.0)
