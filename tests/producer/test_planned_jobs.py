"""A plan's jobs are the same, in the same order, however many there are and however often they are read."""

import pytest

from models.records.batches import CHUNK, PlannedJob
from models.types.job import JobSpec
from producer.planning.planned_jobs import PlannedJobs


def job(number):
    spec = JobSpec(
        prompt=f"a shoe, no. {number}",
        seed=number,
        steps=12,
        guidance=7.5,
        width=128,
        height=128,
        scheduler="DDIM",
        checkpoint="demo",
    )
    return PlannedJob(spec, number + 1)


@pytest.mark.parametrize("count", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_what_went_in_comes_out(count):
    jobs, added = PlannedJobs(), [job(number) for number in range(count)]
    for one in added:
        jobs.append(one)
    assert len(jobs) == count
    assert list(jobs) == added
    assert list(jobs) == added


def test_jobs_that_are_alike_take_a_tenth_of_their_size():
    jobs = PlannedJobs()
    for number in range(10 * CHUNK):
        jobs.append(job(number))
    held = sum(map(len, jobs._packed))
    assert held < sum(len(one.spec.model_dump_json()) for one in jobs) / 10
