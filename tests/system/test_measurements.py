"""Reported figures against others that were taken from outside, of the same worker at the same work."""

import sys

import pytest

from models.records.tables import Attempt, Boot

PICTURES, STEPS = 8, 30


@pytest.fixture(scope="module")
def nightshift(installation):
    with installation() as made:
        yield made


@pytest.fixture(scope="module")
def worker(nightshift):
    return nightshift.wait_until_ready(nightshift.start_worker())


@pytest.fixture(scope="module")
def batch(nightshift, worker):
    """A batch's report and its jobs, all made."""
    name = nightshift.enqueue("--prompt", "a red shoe", "--count", PICTURES, "--steps", STEPS)
    jobs = nightshift.wait_until_finished(name)
    return nightshift.read_json("report", name), jobs


def test_the_reports_wall_clock_spans_the_pictures_on_disk(nightshift, batch):
    report, jobs = batch
    moments = [(nightshift.data_dir / job.picture).stat().st_mtime for job in jobs]
    assert moments == sorted(moments)
    # The first start comes before the first file, the last row after the last.
    assert report["speed"]["wall_s"] >= moments[-1] - moments[0] > 0


def test_wall_clock_is_busy_time_and_the_gaps(batch):
    speed = batch[0]["speed"]
    assert speed["busy_s"] == pytest.approx(speed["mean_s"] * PICTURES)
    assert speed["wall_s"] > speed["busy_s"] > sum(part["mean_s"] for part in speed["parts"].values()) * PICTURES
    assert speed["per_minute_wall"] == pytest.approx(60 * PICTURES / speed["wall_s"])


def test_steps_a_second_are_steps_over_seconds_of_denoising(batch):
    speed = batch[0]["speed"]
    assert speed["steps_per_s"] == pytest.approx(STEPS / speed["parts"]["denoise"]["mean_s"])


def test_queue_waits_are_the_seconds_between_enqueueing_and_starting(nightshift, batch):
    _, jobs = batch
    rows = {row.job_id: row for row in nightshift.rows(Attempt)}
    for job in jobs:
        waited = rows[job.id].started_s - job.queued_s
        assert rows[job.id].queue_wait_s == pytest.approx(waited, abs=0.1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's peak from outside, in /proc")
def test_the_worker_memory_peak_is_the_kernels(nightshift, worker, batch):
    with open(f"/proc/{worker.pid}/status") as status:  # noqa: PTH123 - no file to Path
        line = next(line for line in status if line.startswith("VmHWM:"))
    kernel = int(line.split()[1]) * 1024
    (boot,) = nightshift.rows(Boot)
    assert boot.rss_lifetime_peak_bytes == pytest.approx(kernel, rel=0.05)
    peak = max(row.rss_peak_bytes for row in nightshift.rows(Attempt))
    # The kernel keeps its peak up to date a little late.
    assert 0.8 * kernel < peak < 1.01 * kernel
