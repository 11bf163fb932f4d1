"""Estimates against scipy and against runs at random, and the history that they are made from."""

import math
import statistics
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest
import scipy.stats

from models.figures.estimates import Sample, estimate, expected, history
from models.types.identity import Kind
from models.types.states import Outcome


@pytest.mark.parametrize("pictures", [1, 24, 3000])
@pytest.mark.parametrize("seen", [3, 5, 9])
def test_of_few_the_range_is_that_of_one_value_more_which_all_that_come_are_like(pictures, seen):
    times = list(np.random.default_rng(seen).normal(10, 1, seen))
    found = estimate(Sample(times, gap_s=0.05), pictures)
    assert found.pictures == pictures
    assert found.seconds == pytest.approx(pictures * (statistics.mean(times) + 0.05))
    quantile = scipy.stats.t.ppf(0.975, seen - 1)
    margin = pictures * quantile * statistics.stdev(times) * math.sqrt(1 + 1 / seen)
    # The quantile is an expansion, worst where little was seen.
    assert found.high_s - found.seconds == pytest.approx(margin, rel=0.008 if seen < 6 else 2e-4)
    below = found.seconds - (found.high_s - found.seconds)
    assert found.low_s == pytest.approx(below) if below > found.seconds / 4 else 0 < found.low_s <= found.seconds / 4


@pytest.mark.parametrize("freedom", range(2, 9))
def test_the_quantile_is_as_close_as_its_docstring_says(freedom):
    times = [9.0, 11.0] * (freedom // 2) + [10.0] * (freedom % 2 + 1)
    found = estimate(Sample(times), 1)
    margin = statistics.stdev(times) * math.sqrt(1 + 1 / len(times))
    exact = scipy.stats.t.ppf(0.975, freedom)
    assert (found.high_s - found.seconds) / margin == pytest.approx(exact, rel=0.008 if freedom < 5 else 2e-4)


@pytest.mark.parametrize("seen", [10, 104, 1000])
def test_of_a_longer_run_the_means_of_blocks_say_how_much_it_varies(seen):
    # Every other fifth of the run is slower, as where another program comes and goes.
    length = seen // 5
    times = np.random.default_rng(seen).normal(10, 0.1, seen)
    newest = times[-5 * length :].reshape(5, length)
    newest[::2] += 2
    found = estimate(Sample(times.tolist()), 100)
    # What comes is a block more, or varies more where it is shorter than one.
    share = max(1 + 1 / 5, length / 100 + length / seen)
    margin = 100 * scipy.stats.t.ppf(0.975, 4) * newest.mean(axis=1).std(ddof=1) * math.sqrt(share)
    assert found.high_s - found.seconds == pytest.approx(margin, rel=0.002)


def test_a_range_is_never_narrower_than_single_pictures_make_it():
    # The means of these blocks are all the same.
    times = [9.0, 11.0] * 50
    found = estimate(Sample(times), 10)
    margin = scipy.stats.t.ppf(0.975, 99) * statistics.stdev(times) * math.sqrt(10 + 10**2 / 100)
    assert found.high_s - found.seconds == pytest.approx(margin, rel=0.002)


def test_little_seen_gives_no_range():
    for times in ([2.0], [2.0, 4.0]):
        found = estimate(Sample(times), 10)
        assert (found.seconds, found.low_s, found.high_s) == (10 * statistics.mean(times), None, None)
    assert estimate(Sample([2.0, 4.0, 6.0]), 10).low_s is not None


def test_no_range_begins_at_nothing():
    assert estimate(Sample([0.1, 0.1, 60.0]), 1).low_s == 0.1
    assert estimate(Sample([9.0, 10.0, 11.0, 90.0]), 1).low_s == pytest.approx(30 / 5, rel=0.3)
    for times in ([0.001, 0.5, 30.0], [1.0, 1.0, 1e6], [5.0, 5.0, 5.1]):
        for pictures in (0.5, 1, 3000):
            found = estimate(Sample(times), pictures)
            assert 0 < found.low_s < found.seconds < found.high_s


def test_a_factor_scales_the_pace_and_its_spread_but_not_the_gap():
    plain = estimate(Sample([2.0, 3.0, 4.0]), 100)
    doubled = estimate(Sample([2.0, 3.0, 4.0], gap_s=1.0), 100, 2.0)
    assert doubled.seconds == pytest.approx(2 * plain.seconds + 100)
    assert doubled.high_s - doubled.seconds == pytest.approx(2 * (plain.high_s - plain.seconds))


def share_held(times, seen, pictures):
    """Return how often the range from `seen` pictures held the sum of the next ones, and its width against the sum."""
    held, widths = [], []
    for start in range(0, len(times) - seen - pictures, pictures):
        found = estimate(Sample(times[start : start + seen].tolist()), pictures)
        following = times[start + seen : start + seen + pictures].sum()
        held.append(found.low_s <= following <= found.high_s)
        widths.append((found.high_s - found.low_s) / following)
    return np.mean(held), np.median(widths)


@pytest.mark.parametrize(("seen", "pictures", "times_as_wide"), [(9, 50, 3), (50, 50, 2.5), (100, 100, 2.5)])
def test_at_least_95_of_100_independent_runs_fall_into_the_range_and_it_is_narrow(seen, pictures, times_as_wide):
    times = np.random.default_rng(7).normal(10, 1, 60_000)
    held, width = share_held(times, seen, pictures)
    assert held > 0.94
    # Against the interval that knows them to be independent.
    exact = 2 * scipy.stats.t.ppf(0.975, seen - 1) * math.sqrt(pictures + pictures**2 / seen) / (10 * pictures)
    assert width < times_as_wide * exact


def test_runs_that_drift_fall_into_the_range_three_times_as_often_as_if_they_were_taken_for_independent():
    draw = np.random.default_rng(7)
    drifting = [10.0]
    for change in draw.normal(0, 0.2, 30_000):
        drifting.append(10 + 0.95 * (drifting[-1] - 10) + change)
    times = np.array(drifting)
    held, _ = share_held(times, 300, 100)
    taken_for_independent = [
        abs(times[start + 300 : start + 400].mean() - times[start : start + 300].mean())
        < 1.96 * times[start : start + 300].std() * math.sqrt(1 / 100 + 1 / 300)
        for start in range(0, 29_600, 100)
    ]
    assert held > 0.9
    assert np.mean(taken_for_independent) < 0.35


@pytest.mark.parametrize(
    ("seen", "pictures"), [(3, 20), (5, 50), (9, 100), (50, 50), (100, 100), (100, 1000), (1000, 100)]
)
def test_runs_that_vary_as_much_over_an_hour_as_over_a_minute_fall_into_the_range(seen, pictures):
    draw = np.random.default_rng(7)
    # Flicker noise: the power falls with the frequency.
    count = 2**16
    spectrum = draw.normal(size=count // 2) + 1j * draw.normal(size=count // 2)
    noise = np.fft.irfft(np.concatenate(([0], spectrum / np.sqrt(np.arange(1, count // 2 + 1)))), count)
    held, _ = share_held(10 + noise / noise.std(), seen, pictures)
    assert held > 0.9


KIND = Kind(checkpoint="demo", width=128, height=128, steps=12, scheduler="DDIM", guided=True)


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
    found = read(history, "mini", KIND)
    assert (len(found.sample.times_s), fmean(found.sample.times_s), found.factor) == (1, 1.0, 1.0)
    found = read(history, "mini", replace(KIND, width=256))
    assert (len(found.sample.times_s), fmean(found.sample.times_s), found.factor) == (1, 5.0, 1.0)
    found = read(history, "big", KIND)
    assert (len(found.sample.times_s), fmean(found.sample.times_s), found.factor) == (1, 9.0, 1.0)


@pytest.mark.usefixtures("past")
def test_history_of_other_steps_or_schedulers_is_scaled_by_steps(read):
    found = read(history, "mini", replace(KIND, steps=56))
    assert len(found.sample.times_s) == 3
    assert fmean(found.sample.times_s) == pytest.approx(7 / 3)
    # 12, 24 and 48 steps are 28 on average.
    assert found.factor == pytest.approx(2.0)
    found = read(history, "mini", replace(KIND, scheduler="Heun"))
    assert (len(found.sample.times_s), found.factor) == (3, pytest.approx(12 / 28))


@pytest.mark.usefixtures("past")
def test_history_of_other_sizes_is_rough_and_gives_no_range(read):
    kind = replace(KIND, height=64)
    found = read(history, "mini", kind)
    works = [128 * 128 * 12, 128 * 128 * 24, 128 * 128 * 48, 256 * 128 * 12]
    assert found.is_rough
    assert found.factor == pytest.approx(128 * 64 * 12 / fmean(works))
    assert read(history, "mini", replace(KIND, guided=False)).factor == pytest.approx(works[0] / 2 / fmean(works))
    assert not read(history, "mini", KIND).is_rough
    whole = read(expected, {kind: 3}, "mini")
    assert whole.seconds == pytest.approx(3 * 3.0 * found.factor)
    assert (whole.low_s, whole.high_s) == (None, None)


@pytest.mark.usefixtures("past")
def test_without_such_pictures_there_is_no_history(read):
    assert read(history, "new", KIND) is None
    assert read(history, "mini", replace(KIND, checkpoint="c/d")) is None


def test_an_empty_database_has_no_history(read):
    assert read(history, "mini", KIND) is None


def test_history_is_of_the_setting_of_the_newest_picture(records, read):
    boot = records.boot("mini")
    jobs = records.jobs(records.batch(jobs=3))
    for job, sliced, total_s in zip(jobs, (True, False, True), (9.0, 1.0, 7.0), strict=True):
        records.attempt(job, boot, records.load(boot, attention_slicing=sliced), total_s=total_s)
    found = read(history, "mini", KIND)
    assert (len(found.sample.times_s), fmean(found.sample.times_s)) == (2, 8.0)
