"""`producer report`, `status`, `estimate` and `watch` over rows whose figures are known."""

import csv
import io
import json
import socket
from datetime import UTC, datetime, timedelta

import pytest
from installation import Installation
from sqlalchemy import select, update

from models.figures.memory_trend import TREND_KINDS
from models.records.batches import PlannedJob, create_batch
from models.records.tables import Attempt, Boot, GuardAction, Job, Load
from models.tuning import CallKind, Candidate, Trials, write_trials
from models.types.causes import Cause
from models.types.job import JobSpec
from models.types.states import GuardStep, JobState, Outcome

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SPEC = JobSpec(
    prompt="a shoe", seed=1, steps=20, guidance=7.5, width=512, height=512, scheduler="PNDM", checkpoint="demo"
)


def record(nightshift: Installation, name: str, totals_s: list[float], *, device: str = "mps", host: str = "") -> None:
    """Write a batch of which the pictures in `totals_s` are made, one failed, and one is still queued."""
    host = host or socket.gethostname()
    with nightshift.database.writing() as session:
        boot = Boot(
            host=host,
            pid=1,
            device=device,
            device_name=f"{device} of {host}",
            chip="Apple M2 Max",
            threads=8,
            dtype="float16",
            memory_total_bytes=32_000_000_000,
            versions={"torch": "2.13.0"},
            memory_sources={"rss": "psutil rss"},
            started_at=START,
        )
        session.add(boot)
        session.flush()
        load = Load(
            boot_id=boot.id,
            checkpoint="demo",
            revision="r1",
            tuning={"attention_slicing": False},
            loaded_at=START,
            load_s=72.12,
            warmup_s=18.78,
            warmup_steps=2,
            available_before_bytes=10_400_000_000,
        )
        session.add(load)
        session.flush()
        jobs = [PlannedJob(SPEC)] * (len(totals_s) + 2)
        batch = create_batch(session, name, "test", jobs, priority=5, digest=name)
        rows = list(session.query(Job).where(Job.batch_id == batch.id).order_by(Job.id))
        moment = START
        for row, total_s in zip(rows, totals_s, strict=False):
            session.add(
                Attempt(
                    job_id=row.id,
                    batch_id=batch.id,
                    boot_id=boot.id,
                    load_id=load.id,
                    number=1,
                    outcome=Outcome.SUCCEEDED,
                    started_at=moment,
                    finished_at=moment + timedelta(seconds=total_s),
                    queue_wait_s=10.0,
                    encode_s=0.1 * total_s,
                    denoise_s=0.8 * total_s,
                    decode_s=0.1 * total_s,
                    total_s=total_s,
                    steps_per_s=20 / (0.8 * total_s),
                    picture_bytes=500_000,
                    rss_peak_bytes=4_000_000_000,
                )
            )
            moment += timedelta(seconds=total_s)
            row.state, row.finished_at, row.boot_id = JobState.SUCCEEDED, moment, boot.id
        rows[-2].state, rows[-2].cause, rows[-2].error = JobState.FAILED, "not_finite", "NaN after denoising"


def lines(text: str) -> list[str]:
    """Return the text's lines with their columns set apart by one space, so that widths do not matter."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_the_figures_are_those_of_the_rows(nightshift: Installation):
    record(nightshift, "night", [8.0, 9.0, 10.0, 9.0])
    shown = lines(nightshift.producer("report").stdout)
    assert "4 of 6 pictures made, 1 queued, 1 failed" in shown
    assert any(line.startswith("1 to go: 9.0 s (95 of 100 times ") for line in shown)
    assert "chip Apple M2 Max, 8 threads" in shown
    assert "checkpoint demo (r1)" in shown
    assert "load 72.12 s; resident memory grew by not measured, warm-up included" in shown
    assert "warm-up 18.78 s (2 steps, thrown away)" in shown
    assert "available 10.40 GB (67.5% in use) before load, not measured after warm-up" in shown
    # pictures, mean, median, p95, min, max, steps a second
    assert "4 9.00 s 9.00 s 10.00 s 8.00 s 10.00 s 2.78" in shown
    assert "wall-clock time, first start to last finish 36.0 s 6.67" in shown
    assert "denoise 7.20 s 80.0%" in shown
    assert "Queue wait: mean 10.0 s, longest 10.0 s" in shown
    assert f"not_finite 1 {Cause.NOT_FINITE.sentence}" in " ".join(shown)
    assert any(line.startswith("100 15 min 00 s ") for line in shown)
    assert any(line.startswith("3,000 7 h 30 min ") for line in shown)


def test_what_was_not_measured_says_so_and_is_never_zero(nightshift: Installation):
    record(nightshift, "night", [8.0, 9.0])
    shown = lines(nightshift.producer("report").stdout)
    assert "worker process psutil rss not measured 4.00 GB not measured" in shown
    assert "machine, swap used" + " not measured" * 4 in shown
    assert "The device was busy, of the time in which pictures waited: not measured" in shown
    assert "It waited from one picture to the next: not measured" in shown
    assert "24 3 min 24 s not measured: fewer than 3 pictures" in shown
    report = nightshift.read_json("report")
    assert {figures["kind"]: figures["peak"] for figures in report["memory"]}["swap"] is None
    assert report["speed"]["gap_mean_s"] is None


def test_a_machine_that_slept_is_told_from_one_that_was_slow(nightshift: Installation):
    record(nightshift, "night", [8.0, 9.0, 10.0, 9.0])
    awake = lines(nightshift.producer("report").stdout)
    assert not any("slept" in line for line in awake)
    assert not any("Memory pressure" in line for line in awake)
    with nightshift.database.writing() as session:
        first, second = session.scalars(select(Attempt).order_by(Attempt.id).limit(2))
        first.slept_s, second.slept_s, second.memory_pressure = 0.0, 24.0, 2
    shown = lines(nightshift.producer("report").stdout)
    assert "wall-clock time, first start to last finish 36.0 s 6.67" in shown
    assert "the same without 24.0 s in which the machine slept 12.0 s 20.00" in shown
    assert "Memory pressure, by macOS, at its worst: it warned of a lack of memory" in shown
    speed = nightshift.read_json("report")["speed"]
    assert (speed["slept_s"], speed["per_minute_awake"]) == (24.0, 20.0)


def test_json_and_csv_agree(nightshift: Installation):
    record(nightshift, "night", [8.0, 9.0, 10.0])
    report = nightshift.read_json("report", "night")
    rows = dict(csv.reader(io.StringIO(nightshift.producer("report", "night", "--csv").stdout)))
    assert rows["figure"] == "value"
    assert float(rows["speed.mean_s"]) == report["speed"]["mean_s"] == 9.0
    assert float(rows["speed.parts.denoise.share"]) == report["speed"]["parts"]["denoise"]["share"]
    assert rows["speed.gap_mean_s"] == ""
    assert int(rows["estimates.2.pictures"]) == report["estimates"][2]["pictures"] == 1000


def test_what_was_tuned_is_shown_for_the_pictures_and_devices_of_the_report(nightshift: Installation):
    record(nightshift, "night", [8.0, 9.0])
    known = {}
    mps = ("mps", f"mps of {socket.gethostname()}", "float16", 8, "torch 2.13.0", "StableDiffusion")
    for width, scheduler, seconds in ((512, "PNDM", 0.5), (512, "Heun", 0.2), (768, "PNDM", 1.0)):
        trials = known[CallKind(*mps, width, 512, True, scheduler)] = Trials()
        for _ in range(4):
            trials.note(Candidate(1), 1.0)
            trials.note(Candidate(2, "padded attention"), seconds)
            trials.note(Candidate(2), 0.8)
    known[CallKind("cuda:0", "another", *mps[2:], 512, 512, True, "PNDM")] = trials
    nightshift.data_dir.mkdir(parents=True, exist_ok=True)
    write_trials(nightshift.data_dir, known)
    (line,) = [line for line in lines(nightshift.producer("report").stdout) if line.startswith("Fastest on ")]
    assert line == f"Fastest on {mps[1]} at 512x512, PNDM: 2 a call, padded attention, 2.00 x one at a time"
    (told,) = json.loads(nightshift.producer("report", "--json").stdout)["tuned"]
    assert (told["candidate"], told["times_as_fast"]) == ({"size": 2, "form": "padded attention"}, 2.0)


def test_presets_are_counted_where_there_are_any(nightshift: Installation):
    record(nightshift, "night", [8.0])
    assert "by preset" not in nightshift.producer("report").stdout
    with nightshift.database.writing() as session:
        session.execute(update(Job).where(Job.id == 1).values(preset="fast"))
    assert "by preset: 2 exact, 1 fast" in lines(nightshift.producer("report").stdout)


def test_the_hardware_table_compares_devices(nightshift: Installation):
    record(nightshift, "night", [8.0, 10.0])
    assert "Hardware" not in nightshift.producer("report").stdout
    record(nightshift, "other", [60.0, 80.0], device="cpu")
    shown = lines(nightshift.producer("report", "night").stdout)
    table = shown[next(n for n, line in enumerate(shown) if line.startswith("Hardware")) :]
    host = socket.gethostname()
    # A step is eight tenths of a picture, over 20 steps.
    for device, figures in (("mps", "9.00 s 0.360 s"), ("cpu", "70.00 s 2.80 s")):
        row = next(line for line in table if line.startswith(f"{device} of {host}"))
        assert f"{SPEC.width}x{SPEC.height}, {SPEC.steps} steps {figures}" in row
        assert row.endswith("4.00 GB")


def test_a_cause_that_another_version_wrote_is_counted_under_its_word(nightshift: Installation):
    record(nightshift, "night", [8.0])
    with nightshift.database.writing() as session:
        session.execute(update(Job).where(Job.cause == Cause.NOT_FINITE).values(cause="of_tomorrow"))
    assert "of_tomorrow 1" in lines(nightshift.producer("report").stdout)


def test_of_several_settings_each_has_its_own_mean(nightshift: Installation):
    record(nightshift, "night", [8.0, 10.0])
    record(nightshift, "slow", [60.0, 80.0], device="cpu")
    shown = lines(nightshift.producer("report", "--all").stdout)
    assert "4" + " by kind" * 6 in shown
    rows = " ".join(shown)
    assert f"mps of {socket.gethostname()} (mps)" in rows
    assert "2 9.00 s 8.00 s 10.00 s 2.78" in rows
    assert "2 70.00 s 60.00 s 80.00 s 0.36" in rows


def grow(nightshift: Installation, boot: int, growth: int) -> None:
    """Let resident memory grow by so many bytes a picture of the boot."""
    with nightshift.database.writing() as session:
        held = 4_000_000_000 + growth * Attempt.id
        session.execute(update(Attempt).where(Attempt.boot_id == boot).values(rss_after_bytes=held))


def guarded(nightshift: Installation, step: GuardStep, at_s: float, cost_s: float | None, boot: int = 1) -> None:
    with nightshift.database.writing() as session:
        moment = START + timedelta(seconds=at_s)
        session.add(GuardAction(boot_id=boot, taken_at=moment, step=step, cost_s=cost_s))


def test_what_memory_grows_by(nightshift: Installation):
    record(nightshift, "night", [8.0] * 29)
    grow(nightshift, 1, 1_000_000)
    too_few = "Memory growth: not measured below 30 pictures of one boot"
    assert too_few in lines(nightshift.producer("report").stdout)
    assert nightshift.read_json("report")["memory_trend"] is None
    record(nightshift, "long", [8.0] * 40)
    grow(nightshift, 2, -1_000_000)
    for report in (("long",), ("--all",)):
        shown = lines(nightshift.producer("report", *report).stdout)
        assert "over 30 pictures of boot 2 per 100 pictures" in shown
        assert "worker process -100.00 MB" in shown
        assert "device, held by the driver not measured" in shown
    record(nightshift, "later", [8.0] * 30)
    grow(nightshift, 3, 2_000_000)
    record(nightshift, "short", [8.0])
    everything = nightshift.read_json("report", "--all")["memory_trend"]
    assert (everything["boot"], everything["pictures"]) == (3, 20), "the newest boot with pictures enough"
    growth = everything["per_100_pictures"]
    assert growth == dict.fromkeys(TREND_KINDS) | {"rss": pytest.approx(200_000_000)}


def test_what_the_memory_guard_did(nightshift: Installation):
    record(nightshift, "night", [8.0, 8.0])
    assert "Memory guard: nothing to do" in lines(nightshift.producer("report").stdout)
    record(nightshift, "other", [8.0, 8.0])
    guarded(nightshift, GuardStep.EMPTY_CACHES, 8.1, 0.25)
    guarded(nightshift, GuardStep.EMPTY_CACHES, 17, 0.5)
    guarded(nightshift, GuardStep.RELOAD, 8.5, 30.0, boot=2)
    guarded(nightshift, GuardStep.RESTART, 18, 33.0)
    guarded(nightshift, GuardStep.RESTART, -1, 31.0)
    guarded(nightshift, GuardStep.RESTART, 19, None)
    # A job of it is still queued, so what comes after its last picture is its own too.
    shown = lines(nightshift.producer("report", "night").stdout)
    assert "emptied caches 2 0.750 s" in shown
    assert "ended the worker, to be started anew 2 33.0 s (1 of 2 measured)" in shown
    assert not [line for line in shown if line.startswith("loaded the checkpoint anew")]
    nightshift.producer("cancel", "night")
    assert nightshift.read_json("report", "night")["guard"] == [
        {"step": "empty caches", "times": 1, "timed": 1, "cost_s": 0.25}
    ]
    everything = nightshift.read_json("report", "--all")["guard"]
    assert [(figures["times"], figures["cost_s"]) for figures in everything] == [(2, 0.75), (1, 30.0), (3, 64.0)]


def test_all_adds_batches_up(nightshift: Installation):
    record(nightshift, "night", [8.0, 8.0])
    record(nightshift, "other", [10.0, 10.0])
    assert nightshift.read_json("report", "other")["speed"]["mean_s"] == 10.0
    everything = nightshift.read_json("report", "--all")["speed"]
    assert (everything["mean_s"], everything["pictures"]) == (9.0, 4)


def test_a_batch_without_pictures(nightshift: Installation):
    nightshift.enqueue("--prompt", "a shoe")
    done = nightshift.producer("report")
    assert done.returncode == 0
    assert "No picture is finished yet" in done.stdout
    assert "1 to go: not measured" in done.stdout
    assert nightshift.read_json("report")["speed"] is None


def test_status_names_failures(nightshift: Installation):
    record(nightshift, "night", [8.0])
    shown = nightshift.producer("status", "night").stdout
    assert "job 2: NaN after denoising" in shown
    assert "night: 1 failed; `producer retry night` queues them again" in shown
    status = nightshift.read_json("status", "night")
    assert status["counts"] == {s: int(s in {"queued", "succeeded", "failed"}) for s in JobState}
    assert status["failures"] == [
        {"job_id": 2, "source_line": None, "cause": "not_finite", "error": "NaN after denoising"}
    ]


@pytest.mark.parametrize(
    ("steps", "seconds"), [(20, 900.0), (40, 1800.0)], ids=["of the same kind", "scaled by its steps"]
)
def test_an_estimate_by_this_machines_history(nightshift: Installation, steps, seconds):
    record(nightshift, "night", [8.0, 9.0, 10.0])
    kind = ("--width", "512", "--height", "512", "--scheduler", "PNDM", "--steps", steps)
    estimate = nightshift.read_json("estimate", "--images", "100", *kind)
    assert estimate["seconds"] == pytest.approx(seconds)
    assert estimate["low_s"] < seconds < estimate["high_s"]
    assert estimate["disk_bytes"] == 50_000_000


def test_an_estimate_of_another_size_is_rough_and_of_another_machine_is_none(nightshift: Installation):
    record(nightshift, "night", [8.0, 9.0], host="another")
    kind = ("--width", "512", "--height", "512", "--scheduler", "PNDM", "--steps", "20")
    assert nightshift.read_json("estimate", "--images", "100", *kind)["seconds"] is None
    record(nightshift, "here", [8.0, 9.0])
    assert nightshift.read_json("estimate", "--images", "100", *kind)["seconds"] == 850.0
    # Half of the pixels, which says about how long, and no range.
    other = nightshift.read_json("estimate", "--images", "100", *kind, "--width", "256")
    assert (other["seconds"], other["low_s"]) == (425.0, None)
    assert "not measured" in nightshift.producer("estimate", "--images", "100", "--checkpoint", "a/b").stdout


def test_watch_ends_with_the_batch(nightshift: Installation):
    record(nightshift, "night", [8.0])
    nightshift.producer("cancel", "night")
    done = nightshift.producer("watch", "night")
    assert done.returncode == 1, "a job failed"
    assert "night: 3 of 3; 1 failed, 1 cancelled" in done.stderr


def test_json_is_one_object(nightshift: Installation):
    record(nightshift, "night", [8.0])
    assert set(json.loads(nightshift.producer("report", "--json").stdout)) >= {"speed", "memory", "loads", "estimates"}
