"""The report's sums and percentiles against the same figures computed from the rows, in numpy."""

import math
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from sqlalchemy import insert

from models.figures.hardware import are_comparable, paces
from models.figures.throughput import SteadyState, add_up, memory_figures, steady_percentile, sums_by_load, wall_seconds
from models.records.tables import Attempt, Boot
from models.types.measurement import DEVICE_PARTS, MEMORY_KINDS, PARTS
from models.types.states import Outcome
from producer.actions.reports.report import build_report

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

    def made(self, batch=None, *loads):
        return [
            row
            for row in self.rows
            if row["outcome"] == Outcome.SUCCEEDED
            and (batch is None or row["batch_id"] == batch)
            and (not loads or row["load_id"] in loads)
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
    assert [(f.load.boot_id, f.load.id) for f in found] == list(
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
        assert read(steady_percentile, SteadyState(batch, len(times)), float(share)) == expected


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
    slow, fast = read(paces)
    for pace, loads, device in ((slow, night.loads[:2], "cpu"), (fast, night.loads[2:], "cuda")):
        rows = [row for load in loads for row in night.made(None, load) if not row["cold"]]
        assert (pace.device, pace.device_name) == (device, f"the {device}")
        assert (pace.pictures, pace.mean_s) == (len(rows), pytest.approx(steady(rows).mean()))
        assert pace.rss_peak_bytes == values(rows, "rss_peak_bytes").max()
        assert pace.device_peak_bytes == max(values(rows, "device_driver_peak_bytes"), default=None)
    assert (slow.checkpoint, fast.checkpoint) == ("demo", "a/b")


def test_paces_of_different_slicing_are_never_averaged(records, read):
    boot = records.boot()
    loads = [records.load(boot, attention_slicing=sliced) for sliced in (False, True, False)]
    for job, load, total_s in zip(records.jobs(records.batch(jobs=3)), loads, (1.0, 9.0, 3.0), strict=True):
        records.attempt(job, boot, load, total_s=total_s)
    found = read(paces)
    assert are_comparable(found)
    assert [(p.knobs.attention_slicing, p.pictures, p.mean_s) for p in found] == [(False, 2, 2.0), (True, 1, 9.0)]
    report = read(build_report, None, everything=True)
    # What comes is made as the newest picture was.
    assert report.estimates[0].seconds == pytest.approx(24 * 2.0)
    assert (report.speed.mean_s, report.speed.steps_per_s) == (None, None)
    assert [(s.configuration.knobs.attention_slicing, s.pictures, s.mean_s) for s in report.speed.by_kind] == [
        (False, 2, 2.0),
        (True, 1, 9.0),
    ]


def test_of_one_setting_the_mean_stands_in_its_place(records, read):
    boot = records.boot()
    for job, total_s in zip(records.jobs(records.batch(jobs=2)), (1.0, 3.0), strict=True):
        records.attempt(job, boot, records.load(boot), total_s=total_s)
    speed = read(build_report, None, everything=True).speed
    assert (speed.mean_s, speed.by_kind) == (2.0, [])


def test_one_device_alone_is_not_compared(records, read):
    boot = records.boot()
    (job,) = records.jobs(records.batch())
    records.attempt(job, boot, records.load(boot), total_s=1.0)
    records.load(records.boot(device="cuda"))
    assert not are_comparable(read(paces))
    assert read(build_report, None, everything=True).hardware == []


def test_pictures_of_different_sizes_or_steps_are_never_averaged(records, read, spec):
    boot = records.boot()
    load = records.load(boot)
    asked: list[dict[str, float]] = [{"steps": 10}, {"steps": 20}, {"steps": 10}, {"width": 256}]
    made = list(zip(asked, (1.0, 2.0, 3.0, 9.0), strict=True))
    made += [({"steps": 10, "guidance": guidance}, 0.5) for guidance in (0.0, 1.0)]
    for number, (values, total_s) in enumerate(made):
        (job,) = records.jobs(records.batch(str(number), **values))
        records.attempt(job, boot, load, total_s=total_s, denoise_s=total_s / 2)
    found = {(pace.width, pace.steps, pace.guided): pace for pace in read(paces)}
    usual = spec()
    assert {kind: (pace.pictures, pace.mean_s) for kind, pace in found.items()} == {
        (usual.width, 10, True): (2, 2.0),
        (usual.width, 20, True): (1, 2.0),
        (256, usual.steps, True): (1, 9.0),
        (usual.width, 10, False): (2, 0.5),
    }
    assert found[usual.width, 10, True].step_s == pytest.approx(0.1)
    report = read(build_report, None, everything=True)
    rows = {(row.kind.width, row.kind.steps, row.kind.guided): row for row in report.speed.by_kind}
    assert {kind: (row.pictures, row.mean_s) for kind, row in rows.items()} == {
        kind: (pace.pictures, pace.mean_s) for kind, pace in found.items()
    }
    # 2 of 6 pictures in 2 s, 1 in 2 s, 1 in 9 s, 2 in 0.5 s.
    assert report.estimates[0].seconds == pytest.approx(24 * (2 * 2 + 2 + 9 + 2 * 0.5) / 6)
    assert report.estimated_kinds == 4


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


def test_the_report_shows_these_figures(night, scope, read):
    name = None if scope is None else night.batches[1].name
    report = read(build_report, name, everything=scope is None)
    rows, speed = night.made(scope), report.speed
    times = steady(rows)
    wall_s = (max(row["finished_at"] for row in rows) - min(row["started_at"] for row in rows)).total_seconds()
    measured = sum(values(rows, f"{part}_s").sum() for part in DEVICE_PARTS)
    assert (speed.pictures, speed.steady_pictures) == (len(rows), len(times))
    assert speed.cold_pictures == len(rows) - len(times)
    # Two devices made them, so that no figure of one picture is of all of them.
    assert (speed.mean_s, speed.min_s, speed.max_s, speed.median_s, speed.p95_s, speed.save_mean_s) == (None,) * 6
    by_device = [steady(night.made(scope, *loads)) for loads in (night.loads[:2], night.loads[2:])]
    assert [(row.configuration.device, row.pictures) for row in speed.by_kind] == [
        ("cpu", len(by_device[0])),
        ("cuda", len(by_device[1])),
    ]
    for row, own in zip(speed.by_kind, by_device, strict=True):
        assert (row.mean_s, row.min_s, row.max_s) == pytest.approx((own.mean(), own.min(), own.max()))
    assert speed.per_minute_wall == pytest.approx(60 * len(rows) / wall_s)
    assert speed.per_minute_busy == pytest.approx(60 * len(rows) / values(rows, "total_s").sum())
    assert speed.queue_wait_mean_s == pytest.approx(values(rows, "queue_wait_s").mean())
    assert speed.parts == {
        part: (None, pytest.approx(values(rows, f"{part}_s").sum() / measured)) for part in DEVICE_PARTS
    }
    busy_s, waited_s = values(rows, "total_s").mean(), values(rows, "gap_s").mean()
    assert (speed.gap_mean_s, speed.busy_share) == pytest.approx((waited_s, busy_s / (busy_s + waited_s)))
    lost = [row for row in night.rows if row["outcome"] == Outcome.LOST and scope in (None, row["batch_id"])]
    assert report.lost_attempts == len(lost) > 0
    assert [e.pictures for e in report.estimates] == [24, 100, 1_000, 3_000]
    newest = night.made(None, night.loads[-1])
    pace_s = steady(newest).mean() + values(newest, "gap_s").mean()
    assert report.estimates[0].seconds == pytest.approx(24 * pace_s)
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
    assert speed.parts == {"denoise": (1.5, 1.0)}
    assert (speed.save_mean_s, speed.busy_share, speed.steps_per_s) == (0.0, None, None)


def test_pictures_a_call_are_counted_by_calls_and_one_where_a_row_does_not_say(records, read):
    boot = records.boot()
    load = records.load(boot)
    for job, together in zip(records.jobs(records.batch(jobs=6)), (4, 4, 4, 4, 1, None), strict=True):
        records.attempt(job, boot, load, total_s=2.0, pictures_a_call=together, cold=together == 1)
    assert read(build_report, None, everything=True).speed.pictures_a_call == pytest.approx(6 / 3)
