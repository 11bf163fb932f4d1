"""Reported figures against others that were taken from outside, of the same worker at the same work."""

import sys
from itertools import pairwise
from statistics import median

import pytest

from models.states import JobState
from models.tables import Attempt, Boot

#: A machine that does other things at the same time may spoil one run, hardly three.
RUNS = 3
PICTURES, STEPS = 12, 60


@pytest.fixture(scope="module")
def nightshift(installation):
    with installation() as made:
        yield made


@pytest.fixture(scope="module")
def worker(nightshift):
    return nightshift.wait_until_ready(nightshift.start_worker())


@pytest.fixture(scope="module")
def runs(nightshift, worker):
    """Batches with what the file system's clock says of each, until the two agree or the runs are over.

    Of each: the report, the moments at which the picture before the batch and the batch's own were written, its jobs.
    """
    runs = []
    for _ in range(RUNS):
        # The picture before the batch's first one marks its start; the batch waits while that is made.
        before = nightshift.enqueue("--prompt", "before", "--steps", 250)
        batch = nightshift.enqueue("--prompt", "a red shoe", "--count", PICTURES, "--steps", STEPS)
        # In the midst of it another batch takes the device: no work of the batch's, but time that passes.
        nightshift.wait_until(lambda b=batch: nightshift.jobs(b)[0].state != JobState.QUEUED, "the batch to begin")
        nightshift.enqueue("--prompt", "between", "--steps", 150, "--priority", 0)
        jobs = nightshift.wait_until_finished(batch)
        moments = [
            (nightshift.data_dir / job.picture).stat().st_mtime_ns / 1e9 for job in [*nightshift.jobs(before), *jobs]
        ]
        assert moments == sorted(moments)
        runs.append((nightshift.read_json("report", batch), moments, jobs))
        if abs(runs[-1][0]["speed"]["wall_s"] / (moments[-1] - moments[0]) - 1) < 0.02:
            break
    return runs


def test_the_reports_wall_clock_is_that_of_the_pictures_on_disk(runs):
    report, moments, _ = runs[-1]
    stopwatch = moments[-1] - moments[0]
    assert report["speed"]["wall_s"] == pytest.approx(stopwatch, rel=0.02)
    assert report["speed"]["per_minute_wall"] == pytest.approx(60 * PICTURES / stopwatch, rel=0.02)


def test_the_pictures_seconds_are_those_between_two_files(runs):
    report, moments, _ = runs[-1]
    speed = report["speed"]
    *between, intermission = sorted(after - before for before, after in pairwise(moments))
    assert intermission > 2 * between[-1], "the other batch did not come between"
    # A picture's own time leaves out the gap before it and the row after it: some milliseconds of some hundred.
    assert speed["median_s"] == pytest.approx(median(between), rel=0.1)
    assert speed["max_s"] < intermission
    assert speed["busy_s"] == pytest.approx(sum(between) * PICTURES / (PICTURES - 1), rel=0.15)


def test_steps_a_second_are_steps_over_seconds_of_denoising(runs):
    report, moments, _ = runs[-1]
    speed = report["speed"]
    assert speed["steps_per_s"] == pytest.approx(STEPS / speed["parts"]["denoise"]["mean_s"])
    assert speed["steps_per_s"] == pytest.approx(STEPS / median(b - a for a, b in pairwise(moments)), rel=0.25)


def test_queue_waits_are_the_seconds_between_enqueueing_and_starting(nightshift, runs):
    _, _, jobs = runs[-1]
    rows = {row.job_id: row for row in nightshift.rows(Attempt)}
    for job in jobs:
        waited = (rows[job.id].started_at - job.queued_at).total_seconds()
        assert rows[job.id].queue_wait_s == pytest.approx(waited, abs=0.001)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's peak from outside, in /proc")
def test_the_worker_memory_peak_is_the_kernels(nightshift, worker, runs):
    with open(f"/proc/{worker.pid}/status") as status:  # noqa: PTH123 - no file to Path
        line = next(line for line in status if line.startswith("VmHWM:"))
    kernel = int(line.split()[1]) * 1024
    (boot,) = nightshift.rows(Boot)
    assert boot.rss_lifetime_peak_bytes == pytest.approx(kernel, rel=0.05)
    peak = max(row.rss_peak_bytes for row in nightshift.rows(Attempt))
    # The kernel keeps its peak up to date a little late.
    assert 0.8 * kernel < peak < 1.01 * kernel
