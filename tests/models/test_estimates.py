"""Estimates against scipy and against runs at random, and the history that they are made from."""

import math
import statistics
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from models.estimates import Kind, estimate, history
from models.measurement import MEMORY_KINDS, PARTS
from models.states import Outcome
from models.sums import Sums


def sums_of(times, **values) -> Sums:
    """Return the sums of steady pictures that took so long."""
    nothing = Sums(
        count=0, cold=0, busy_s=0.0, steady_count=0, steady_s=0.0, steady_squares=0.0, gaps=0, gap_s=0.0,
        waits=0, queue_wait_s=0.0, longest_wait_s=None, steps=0.0, parts_s=dict.fromkeys(PARTS, 0.0), first_start=None,
        last_finish=None, first_s=None, last_s=None, first_id=None, last_id=None,
        memory_peaks=dict.fromkeys(MEMORY_KINDS), picture_bytes=0,
    )  # fmt: skip
    squares = sum(time**2 for time in times)
    return replace(nothing, steady_count=len(times), steady_s=sum(times), steady_squares=squares, **values)


@pytest.mark.parametrize("pictures", [1, 24, 3000])
@pytest.mark.parametrize("seen", [3, 5, 1000])
def test_an_estimate_is_the_prediction_interval_of_a_sum(pictures, seen):
    times = list(np.random.default_rng(seen).normal(10, 1, seen))
    found = estimate(sums_of(times, gaps=4, gap_s=0.2), pictures)
    assert found.pictures == pictures
    assert found.seconds == pytest.approx(pictures * (statistics.mean(times) + 0.05))
    quantile = scipy.stats.t.ppf(0.975, seen - 1)
    margin = quantile * statistics.stdev(times) * math.sqrt(pictures + pictures**2 / seen)
    # The quantile is an expansion, worst where little was seen.
    assert found.high_s - found.seconds == pytest.approx(margin, rel=0.008 if seen < 6 else 2e-4)
    assert found.low_s == pytest.approx(max(0.0, found.seconds - (found.high_s - found.seconds)))


@pytest.mark.parametrize("freedom", [*range(2, 60), 10**3, 10**6])
def test_the_quantile_is_as_close_as_its_docstring_says(freedom):
    times = [9.0, 11.0] * (freedom // 2) + [10.0] * (freedom % 2 + 1)
    found = estimate(sums_of(times), 1)
    margin = statistics.stdev(times) * math.sqrt(1 + 1 / len(times))
    exact = scipy.stats.t.ppf(0.975, freedom)
    assert (found.high_s - found.seconds) / margin == pytest.approx(exact, rel=0.008 if freedom < 5 else 2e-4)


def test_little_seen_gives_no_range_and_nothing_seen_no_estimate():
    assert estimate(sums_of([]), 10) is None
    for times in ([2.0], [2.0, 4.0]):
        found = estimate(sums_of(times), 10)
        assert (found.seconds, found.low_s, found.high_s) == (10 * statistics.mean(times), None, None)
    assert estimate(sums_of([2.0, 4.0, 6.0]), 10).low_s is not None
    assert (sums_of([]).mean_s, sums_of([]).deviation_s, sums_of([]).mean_gap_s) == (None, None, None)
    assert (sums_of([2.0]).mean_s, sums_of([2.0]).deviation_s) == (2.0, None)
    assert (sums_of([]).steps_per_s, sums_of([]).mean_wait_s) == (None, None)


def test_an_estimate_is_never_below_zero():
    assert estimate(sums_of([0.1, 0.1, 60.0]), 1).low_s == 0.0


def test_a_factor_scales_the_pace_and_its_spread_but_not_the_gap():
    plain = estimate(sums_of([2.0, 3.0, 4.0]), 100)
    doubled = estimate(sums_of([2.0, 3.0, 4.0], gaps=1, gap_s=1.0), 100, 2.0)
    assert doubled.seconds == pytest.approx(2 * plain.seconds + 100)
    assert doubled.high_s - doubled.seconds == pytest.approx(2 * (plain.high_s - plain.seconds))


@pytest.mark.parametrize("seen", [3, 10, 100])
def test_95_of_100_runs_fall_into_the_range(seen):
    draw, runs, pictures = np.random.default_rng(7), 4_000, 50
    observed = draw.normal(10, 1, (runs, seen))
    future = draw.normal(10, 1, (runs, pictures)).sum(axis=1)
    ranges = [estimate(sums_of(times.tolist()), pictures) for times in observed]
    covered = np.mean([r.low_s <= total <= r.high_s for r, total in zip(ranges, future, strict=True)])
    # Three standard errors of a share of 95 % over so many runs.
    assert covered == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / runs))


KIND = Kind(host="mini", checkpoint="demo", width=128, height=128, steps=12, scheduler="DDIM")


@pytest.fixture
def past(records):
    """One host's pictures: of 12 steps with DDIM in 1 s, of 24 and 48 steps with LCM in 3 s, and larger ones."""
    boot, elsewhere = records.boot("mini"), records.boot("big")
    load = records.load(boot)
    made: list[tuple[dict[str, object], int, float]] = [
        ({"steps": 12}, boot, 1.0), ({"steps": 24, "scheduler": "LCM"}, boot, 3.0),
        ({"steps": 48, "scheduler": "LCM"}, boot, 3.0), ({"width": 256}, boot, 5.0),
        ({"steps": 12}, elsewhere, 9.0), ({"checkpoint": "a/b"}, boot, 7.0),
    ]  # fmt: skip
    for number, (asked, where, total_s) in enumerate(made):
        (job,) = records.jobs(records.batch(f"night-{number}", **asked))
        records.attempt(job, where, load if where == boot else records.load(elsewhere), total_s=total_s)
        records.attempt(job, where, load, 2, outcome=Outcome.FAILED, queue_wait_s=99.0)


@pytest.mark.usefixtures("past")
def test_history_is_of_such_pictures_on_this_host(read):
    sums, factor = read(history, KIND)
    assert (sums.steady_count, sums.mean_s, factor) == (1, 1.0, 1.0)
    sums, factor = read(history, replace(KIND, width=256))
    assert (sums.steady_count, sums.mean_s, factor) == (1, 5.0, 1.0)
    sums, factor = read(history, replace(KIND, host="big"))
    assert (sums.steady_count, sums.mean_s, factor) == (1, 9.0, 1.0)


@pytest.mark.usefixtures("past")
def test_history_of_other_steps_or_schedulers_is_scaled_by_steps(read):
    sums, factor = read(history, replace(KIND, steps=56))
    assert (sums.steady_count, sums.mean_s) == (3, pytest.approx(7 / 3))
    # 12, 24 and 48 steps are 28 on average.
    assert factor == pytest.approx(2.0)
    sums, factor = read(history, replace(KIND, scheduler="Heun"))
    assert (sums.steady_count, factor) == (3, pytest.approx(12 / 28))


@pytest.mark.usefixtures("past")
@pytest.mark.parametrize("other", [{"host": "new"}, {"height": 64}, {"checkpoint": "c/d"}], ids=str)
def test_without_such_pictures_there_is_no_history(read, other):
    assert read(history, replace(KIND, **other)) is None


def test_an_empty_database_has_no_history(read):
    assert read(history, KIND) is None


def test_history_is_of_the_setting_of_the_newest_picture(records, read):
    boot = records.boot("mini")
    jobs = records.jobs(records.batch(jobs=3))
    for job, sliced, total_s in zip(jobs, (True, False, True), (9.0, 1.0, 7.0), strict=True):
        records.attempt(job, boot, records.load(boot, attention_slicing=sliced), total_s=total_s)
    sums, _ = read(history, KIND)
    assert (sums.steady_count, sums.mean_s) == (2, 8.0)
