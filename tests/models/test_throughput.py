"""The report's sums, percentiles and estimates against the same figures computed from the rows, in numpy and scipy."""

import math
import statistics
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import scipy.stats
from sqlalchemy import insert

from models.measurement import MEMORY_KINDS
from models.states import Outcome
from models.tables import Attempt, Boot
from models.throughput import (
    PARTS,
    Sums,
    add_up,
    estimate,
    history,
    memory_figures,
    pace_by_device,
    steady_percentile,
    sums_by_load,
    wall_seconds,
)
from producer.figures import build_report

START = datetime(2026, 1, 1, tzinfo=UTC)
#: Bytes that each kind of memory is drawn around.
SPREAD = {"rss": 10**9, "device_allocated": 10**8, "device_driver": 2 * 10**9, "available": 10**10, "swap": 10**6}
#: Kinds of memory that the first boot's machine has no counter for.
UNKNOWN = ("device_allocated", "device_driver")


class Night:
    """Attempts at random over two batches, two boots and three loads, and the rows that were inserted."""

    def __init__(self, records, seed=1, attempts=300):
        draw = np.random.default_rng(seed)
        self.batches = [records.batch(name, attempts) for name in ("red", "blue")]
        jobs = [records.jobs(batch) for batch in self.batches]
        self.boots = [records.boot(), records.boot(device="cuda", memory_sources={"rss": "getrusage"})]
        self.loads = [records.load(self.boots[0]), records.load(self.boots[0]), records.load(self.boots[1], "a/b")]
        self.rows = []
        outcomes = draw.choice(
            [Outcome.SUCCEEDED, Outcome.FAILED, Outcome.LOST, Outcome.CANCELLED], attempts, p=[0.85, 0.05, 0.05, 0.05]
        )
        clock = START
        for number, outcome in enumerate(outcomes):
            # Loads follow one another, and none has pictures of one batch alone.
            load = min(number * 3 // attempts, 2)
            clock += timedelta(seconds=float(draw.uniform(0, 2)))
            job = jobs[int(draw.integers(2))][number]
            made = outcome == Outcome.SUCCEEDED
            row = {
                "job_id": job.id, "batch_id": job.batch_id, "boot_id": self.boots[load // 2],
                "load_id": self.loads[load] if made or outcome == Outcome.FAILED else None, "number": 1,
                "outcome": outcome, "started_at": clock, "started_s": seconds(clock),
                "queue_wait_s": float(draw.exponential(60)) if draw.random() < 0.9 else None,
                "cold": bool(draw.random() < 0.1),
            }  # fmt: skip
            row |= dict.fromkeys((f"{part}_s" for part in (*PARTS, "total", "gap")), None)
            row |= {"steps_per_s": None, "picture_bytes": None, "finished_at": clock}
            memory = [(kind, moment) for kind in MEMORY_KINDS for moment in ("before", worst(kind), "after")]
            row |= dict.fromkeys((f"{kind}_{moment}_bytes" for kind, moment in memory), None)
            if made:
                row |= {f"{part}_s": float(draw.lognormal()) for part in PARTS}
                row["total_s"] = sum(row[f"{part}_s"] for part in PARTS) + float(draw.random())
                row["finished_at"] = clock = clock + timedelta(seconds=row["total_s"])
                row["steps_per_s"] = 25 / row["denoise_s"]
                row["gap_s"] = float(draw.exponential(0.01)) if draw.random() < 0.5 else None
                row["picture_bytes"] = int(draw.integers(10**5, 10**6))
                row |= {
                    f"{kind}_{moment}_bytes": int(draw.integers(SPREAD[kind], 2 * SPREAD[kind]))
                    for kind, moment in memory
                    if load // 2 or kind not in UNKNOWN
                }
            row["finished_s"] = seconds(row["finished_at"])
            self.rows.append(row)
        with records.database.writing() as session:
            session.execute(insert(Attempt), self.rows)

    def made(self, batch=None, load=None):
        return [
            row
            for row in self.rows
            if row["outcome"] == Outcome.SUCCEEDED
            and (batch is None or row["batch_id"] == batch)
            and (load is None or row["load_id"] == load)
        ]


def seconds(moment):
    """Return the moment on a clock that began an hour before."""
    return (moment - START).total_seconds() + 3600


def worst(kind):
    return "lowest" if kind == "available" else "peak"


@pytest.fixture
def night(records):
    return Night(records)


@pytest.fixture(params=["batch", "everything"])
def scope(request, night):
    """The number of a batch, or None for everything."""
    return night.batches[1].id if request.param == "batch" else None


def values(rows, name):
    return np.array([row[name] for row in rows if row[name] is not None])


def steady(rows):
    return values([row for row in rows if not row["cold"]], "total_s")


def assert_sums(sums, rows):
    """Compare every field of `sums` with what numpy makes of the rows."""
    total, gap, wait = (values(rows, name) for name in ("total_s", "gap_s", "queue_wait_s"))
    assert (sums.count, sums.cold) == (len(rows), sum(row["cold"] for row in rows))
    assert sums.steady_count == len(steady(rows)) > 2
    assert sums.busy_s == pytest.approx(total.sum())
    assert sums.steady_s == pytest.approx(steady(rows).sum())
    assert sums.mean_s == pytest.approx(steady(rows).mean())
    assert sums.deviation_s == pytest.approx(steady(rows).std(ddof=1))
    assert (sums.gaps, sums.gap_s) == (len(gap), pytest.approx(gap.sum()))
    assert sums.mean_gap_s == pytest.approx(gap.mean())
    assert (sums.waits, sums.queue_wait_s) == (len(wait), pytest.approx(wait.sum()))
    assert (sums.mean_wait_s, sums.longest_wait_s) == (pytest.approx(wait.mean()), wait.max())
    parts = {part: values(rows, f"{part}_s").sum() for part in PARTS}
    assert sums.parts_s == pytest.approx(parts)
    assert sums.steps == pytest.approx(25 * len(rows))
    assert sums.steps_per_s == pytest.approx(25 * len(rows) / parts["denoise"])
    assert sums.first_start == min(row["started_at"] for row in rows)
    assert sums.last_finish == max(row["finished_at"] for row in rows)
    assert (sums.first_s, sums.last_s) == (seconds(sums.first_start), seconds(sums.last_finish))
    assert sums.picture_bytes == values(rows, "picture_bytes").sum()
    assert type(sums.picture_bytes) is int
    for kind in MEMORY_KINDS:
        measured = values(rows, f"{kind}_{worst(kind)}_bytes")
        expected = (min if kind == "available" else max)(measured, default=None)
        assert sums.memory_peaks[kind] == expected


def test_sums_of_each_load_are_those_of_its_rows(night, scope, read):
    found = read(sums_by_load, scope)
    assert [(f.boot.id, f.load.id) for f in found] == list(
        zip([night.boots[0], night.boots[0], night.boots[1]], night.loads, strict=True)
    )
    for one in found:
        assert_sums(one.sums, night.made(scope, one.load.id))


def test_sums_of_several_loads_and_boots_add_up(night, scope, read):
    assert_sums(add_up(one.sums for one in read(sums_by_load, scope)), night.made(scope))


def test_no_loads_add_up_to_nothing(records, read):
    records.load(records.boot())
    assert read(sums_by_load, None) == []
    assert add_up([]) is None


def test_what_was_not_measured_stays_unknown(night, read):
    first, _, third = read(sums_by_load, None)
    for kind in UNKNOWN:
        assert first.sums.memory_peaks[kind] is None
        assert third.sums.memory_peaks[kind] is not None


@pytest.mark.parametrize("attempts", [1, 2, 20, 21, 200])
def test_a_percentile_is_the_nearest_rank(records, read, attempts):
    night = Night(records, seed=attempts, attempts=attempts)
    shares = (Fraction(0), Fraction(1, 2), Fraction(95, 100), Fraction(1))
    for batch, share in product((None, night.batches[0].id), shares):
        times = np.sort(steady(night.made(batch)))
        expected = None
        if len(times):
            expected = times[max(1, math.ceil(share * len(times))) - 1]
            assert expected == np.percentile(times, float(100 * share), method="inverted_cdf")
        assert read(steady_percentile, batch, len(times), float(share)) == expected


def test_memory_is_of_the_first_picture_the_worst_and_the_last(night, scope, read):
    sums = add_up(one.sums for one in read(sums_by_load, scope))
    rows = night.made(scope)
    found = read(memory_figures, sums, {"rss": "psutil"})
    assert [figures.kind for figures in found] == list(MEMORY_KINDS)
    for figures in found:
        assert figures.before == rows[0][f"{figures.kind}_before_bytes"]
        assert figures.after == rows[-1][f"{figures.kind}_after_bytes"]
        assert figures.peak == sums.memory_peaks[figures.kind]
        assert figures.source == ("psutil" if figures.kind == "rss" else None)


def test_the_pace_of_each_device_is_that_of_its_steady_pictures(night, records, read):
    slow, fast = read(pace_by_device)
    for pace, loads, device in ((slow, night.loads[:2], "cpu"), (fast, night.loads[2:], "cuda")):
        rows = [row for load in loads for row in night.made(None, load) if not row["cold"]]
        assert (pace.device, pace.device_name) == (device, f"the {device}")
        assert (pace.pictures, pace.mean_s) == (len(rows), pytest.approx(steady(rows).mean()))
        assert pace.rss_peak_bytes == values(rows, "rss_peak_bytes").max()
        assert pace.device_peak_bytes == max(values(rows, "device_driver_peak_bytes"), default=None)
    assert (slow.checkpoint, fast.checkpoint) == ("demo", "a/b")


def test_one_device_alone_is_not_compared(records, read):
    boot = records.boot()
    (job,) = records.jobs(records.batch())
    records.attempt(job, boot, records.load(boot), total_s=1.0)
    records.load(records.boot(device="cuda"))
    assert read(pace_by_device) == []


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


HISTORY = {"host": "mini", "checkpoint": "demo", "width": 128, "height": 128, "steps": 12, "scheduler": "DDIM"}


@pytest.fixture
def past(records):
    """One host's pictures: of 12 steps with DDIM in 1 s, of 24 and 48 steps with LCM in 3 s, and larger ones."""
    boot, elsewhere = records.boot("mini"), records.boot("big")
    load = records.load(boot)
    made = [
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
    sums, factor = read(history, **HISTORY)
    assert (sums.steady_count, sums.mean_s, factor) == (1, 1.0, 1.0)
    sums, factor = read(history, **HISTORY | {"width": 256})
    assert (sums.steady_count, sums.mean_s, factor) == (1, 5.0, 1.0)
    sums, factor = read(history, **HISTORY | {"host": "big"})
    assert (sums.steady_count, sums.mean_s, factor) == (1, 9.0, 1.0)


@pytest.mark.usefixtures("past")
def test_history_of_other_steps_or_schedulers_is_scaled_by_steps(read):
    sums, factor = read(history, **HISTORY | {"steps": 56})
    assert (sums.steady_count, sums.mean_s) == (3, pytest.approx(7 / 3))
    # 12, 24 and 48 steps are 28 on average.
    assert factor == pytest.approx(2.0)
    sums, factor = read(history, **HISTORY | {"scheduler": "Heun"})
    assert (sums.steady_count, factor) == (3, pytest.approx(12 / 28))


@pytest.mark.usefixtures("past")
@pytest.mark.parametrize("other", [{"host": "new"}, {"height": 64}, {"checkpoint": "c/d"}], ids=str)
def test_without_such_pictures_there_is_no_history(read, other):
    assert read(history, **HISTORY | other) is None


HOUR_S = 3600.0


class Boots:
    """Boots that make one picture each, and what the report says of the time from the first to the last."""

    def __init__(self, records, read):
        self._records, self._read = records, read
        self._jobs = iter(records.jobs(records.batch(jobs=9)))

    def make(self, told, exact=None, clock="first", took_s=10.0, **values):
        """Make a picture from `told` to `told + took_s` by the time of day, from `exact` on by the clock."""
        boot = self._records.boot(**values)
        with self._records.database.writing() as session:
            session.get_one(Boot, boot).clock = clock
        start = START + timedelta(seconds=told)
        ends = {"started_at": start, "finished_at": start + timedelta(seconds=took_s)}
        if exact is not None:
            ends |= {"started_s": exact[0], "finished_s": exact[1]}
        self._records.attempt(next(self._jobs), boot, self._records.load(boot), total_s=10.0, **ends)

    def wall_s(self):
        return wall_seconds(self._read(sums_by_load, None))


@pytest.fixture
def boots(records, read):
    return Boots(records, read)


def test_wall_clock_time_is_of_the_clock_that_nobody_sets(boots):
    boots.make(0, (100, 110))
    boots.make(HOUR_S, (115, 125))
    boots.make(-HOUR_S, (140, 150))
    assert boots.wall_s() == 50


def test_across_two_starts_of_the_machine_it_is_of_the_time_of_day(boots):
    boots.make(0, (1000, 1010))
    boots.make(HOUR_S, (20, 30), clock="second")
    assert boots.wall_s() == HOUR_S + 10


@pytest.mark.parametrize(
    "second",
    [
        {"told": 5, "exact": (20, 30), "clock": "second"},
        {"told": -HOUR_S, "exact": (20, 30), "clock": "second"},
        {"told": HOUR_S, "exact": (20, 30), "clock": "second", "took_s": HOUR_S},
        {"told": HOUR_S, "exact": (20, 30), "clock": "second", "took_s": -HOUR_S},
        {"told": HOUR_S, "clock": None, "took_s": -HOUR_S},
    ],
    ids=["before the first ended", "before the first began", "set forth", "set back", "set back, without a clock"],
)
def test_a_span_that_contradicts_itself_is_not_measured(boots, second):
    boots.make(0, (1000, 1010))
    boots.make(**second)
    assert boots.wall_s() is None


def test_rows_without_a_clock_are_taken_by_the_time_of_day(boots):
    boots.make(0, clock=None)
    boots.make(100, clock=None)
    assert boots.wall_s() == 110


def test_machines_that_work_beside_each_other_do_not_contradict(boots):
    boots.make(0, (1000, 1010))
    boots.make(5, (20, 30), clock="another", lock_uid="b")
    assert boots.wall_s() == 15


def test_an_empty_database_has_no_history(read):
    assert read(history, **HISTORY) is None


def test_the_report_shows_these_figures(night, scope, read):
    name = None if scope is None else night.batches[1].name
    report = read(build_report, name, everything=scope is None)
    rows, speed = night.made(scope), report.speed
    times = steady(rows)
    wall_s = (max(row["finished_at"] for row in rows) - min(row["started_at"] for row in rows)).total_seconds()
    measured = sum(values(rows, f"{part}_s").sum() for part in PARTS)
    assert (speed.pictures, speed.steady_pictures) == (len(rows), len(times))
    assert speed.cold_pictures == len(rows) - len(times)
    assert (speed.min_s, speed.max_s) == (times.min(), times.max())
    assert speed.median_s == np.percentile(times, 50, method="inverted_cdf")
    assert speed.p95_s == np.percentile(times, 95, method="inverted_cdf")
    assert speed.per_minute_wall == pytest.approx(60 * len(rows) / wall_s)
    assert speed.per_minute_busy == pytest.approx(60 * len(rows) / values(rows, "total_s").sum())
    assert speed.queue_wait_mean_s == pytest.approx(values(rows, "queue_wait_s").mean())
    assert speed.parts == {
        part: pytest.approx((values(rows, f"{part}_s").mean(), values(rows, f"{part}_s").sum() / measured))
        for part in PARTS
    }
    lost = [row for row in night.rows if row["outcome"] == Outcome.LOST and scope in (None, row["batch_id"])]
    assert report.lost_attempts == len(lost) > 0
    assert [e.pictures for e in report.estimates] == [24, 100, 1_000, 3_000]
    assert report.estimates[0].seconds == pytest.approx(24 * (times.mean() + values(rows, "gap_s").mean()))
    assert [load.pictures for load in report.loads] == [len(night.made(scope, load)) for load in night.loads]
    if scope is not None:
        assert report.remaining_s == pytest.approx(report.progress.remaining * report.estimates[0].seconds / 24)


def test_a_report_without_pictures_says_so(records, read):
    batch = records.batch()
    report = read(build_report, batch.name, everything=False)
    assert (report.speed, report.remaining_s, report.estimates, report.memory) == (None, None, [], [])
    assert report.progress.remaining == 1


def test_a_part_that_was_never_measured_is_not_shown_as_taking_no_time(records, read):
    boot = records.boot()
    (job,) = records.jobs(records.batch())
    records.attempt(job, boot, records.load(boot), total_s=2.0, denoise_s=1.5, save_s=0.0)
    speed = read(build_report, None, everything=True).speed
    assert speed.parts == {"denoise": (1.5, 1.0), "save": (0.0, 0.0)}
    assert speed.steps_per_s is None
