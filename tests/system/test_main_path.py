"""The way of a job from a line in a file to a picture and its rows, through the real programs."""

import json
from importlib.metadata import version

import pytest
from PIL import Image

from models.records.tables import Attempt, Boot, Load
from models.types.measurement import DEVICE_PARTS, MEMORY_KINDS
from models.types.states import JobState

pytestmark = pytest.mark.smoke

PROMPTS = ["../../outside <script>alert(1)</script>", "a red shoe, studio: soft light", "červená 靴"]
FLAGS = ("--count", 2, "--seed", 40, "--steps", 7, "--width", 144, "--height", 128, "--negative-prompt", "blurred")
MADE = len(PROMPTS) * 2


@pytest.fixture(scope="module")
def nightshift(installation):
    with installation() as made:
        yield made


@pytest.fixture(scope="module")
def worker(nightshift):
    return nightshift.wait_until_ready(nightshift.start_worker_anew())


@pytest.fixture(scope="module")
def jobs(nightshift, worker):
    """A finished batch of two pictures a prompt; the first that the worker made."""
    prompts = nightshift.folder / "prompts.txt"
    prompts.write_text("\n".join(PROMPTS), encoding="utf-8")
    return nightshift.wait_until_finished(nightshift.enqueue("--prompts", prompts, "--batch", "shoes", *FLAGS))


@pytest.fixture(scope="module")
def attempts(nightshift, jobs):
    """Their attempts, read before other tests add more."""
    return [row for row in nightshift.rows(Attempt) if row.batch_id == jobs[0].batch_id]


def picture(nightshift, job):
    return nightshift.data_dir / job.picture


def pixels(nightshift, job):
    with Image.open(picture(nightshift, job)) as image:
        return image.convert("RGB").tobytes()


def test_every_job_of_the_file_became_a_picture_of_the_size_asked_for(nightshift, jobs):
    assert [(job.state, job.prompt, job.seed, job.source_line) for job in jobs] == [
        ("succeeded", prompt, seed, line) for line, prompt in enumerate(PROMPTS, 1) for seed in (40, 41)
    ]
    for job in jobs:
        with Image.open(picture(nightshift, job)) as image:
            image.load()
            assert (image.format, image.mode, image.size) == ("PNG", "RGB", (144, 128))
    assert len({pixels(nightshift, job) for job in jobs}) == MADE


def test_a_pictures_name_is_made_of_numbers_whatever_the_prompt(nightshift, jobs):
    written = {path.relative_to(nightshift.data_dir) for path in nightshift.folder.rglob("*.png")}
    assert written == {picture(nightshift, job).relative_to(nightshift.data_dir) for job in jobs}
    assert sorted(map(str, written)) == [f"pictures/batch-0001/job-{number:08d}.png" for number in range(1, MADE + 1)]
    assert not [path for path in nightshift.folder.rglob("*") if "outside" in path.name or "script" in path.name]


def test_the_parameters_stand_in_the_picture_in_a1111s_form(nightshift, jobs):
    for job in jobs:
        with Image.open(picture(nightshift, job)) as image:
            image.load()
            assert image.info["parameters"] == (
                f"{job.prompt}\nNegative prompt: blurred\n"
                f"Steps: 7, Sampler: DPM++ 2M, Schedule type: Uniform, CFG scale: 7.5, Seed: {job.seed}, "
                f"Size: 144x128, Model: demo, RNG: CPU, Version: Nightshift {version('nightshift')}"
            )


def test_an_attempt_has_every_duration_and_its_parts_fit_into_the_whole(jobs, attempts):
    assert [(row.job_id, row.number, row.outcome) for row in attempts] == [(job.id, 1, "succeeded") for job in jobs]
    for job, row in zip(jobs, attempts, strict=True):
        parts = [getattr(row, f"{part}_s") for part in DEVICE_PARTS]
        assert all(part is not None and part >= 0 for part in (*parts, row.save_s))
        assert 0 < sum(parts) <= row.total_s
        assert row.steps_per_s == pytest.approx(job.steps / row.denoise_s)
        assert row.queue_wait_s >= 0
        assert job.queued_at <= row.started_at <= row.finished_at
        assert row.finished_at == job.finished_at


def test_an_attempt_has_memory_before_at_its_peak_and_after(attempts):
    for row in attempts:
        assert 0 < row.rss_before_bytes <= row.rss_peak_bytes
        assert 0 < row.rss_after_bytes <= row.rss_peak_bytes
        assert 0 < row.available_lowest_bytes <= min(row.available_before_bytes, row.available_after_bytes)
        assert 0 <= max(row.swap_before_bytes, row.swap_after_bytes) <= row.swap_peak_bytes


def test_what_the_cpu_has_no_counter_for_is_null_and_not_zero(nightshift, attempts):
    columns = [name for name in Attempt.__table__.columns.keys() if name.startswith("device_")]  # noqa: SIM118
    assert len(columns) == 6
    assert {getattr(row, name) for row in attempts for name in columns} == {None}
    (boot,) = nightshift.rows(Boot)[:1]
    assert set(boot.memory_sources) == {"rss", "rss_lifetime_peak", "available", "swap"}


def test_an_attempt_knows_what_was_untypical_about_it(nightshift, jobs, attempts):
    # The warm-up was 128x128, so the first 144x128 picture is cold in spite of it.
    assert [row.first_of_boot for row in attempts] == [True] + [False] * (MADE - 1)
    assert [row.cold for row in attempts] == [True] + [False] * (MADE - 1)
    assert not any(row.decoded_again or row.prompt_cut for row in attempts)
    assert [row.picture_bytes for row in attempts] == [picture(nightshift, job).stat().st_size for job in jobs]
    assert len({row.prompt_tokens for row in attempts}) == len(PROMPTS)


def test_boot_and_load_are_recorded(nightshift, worker, attempts):
    boot, load = nightshift.rows(Boot)[0], nightshift.rows(Load)[0]
    assert (boot.pid, boot.device, boot.dtype) == (worker.pid, "cpu", "float32")
    assert {"python", "system", "torch", "diffusers", "transformers", "celery", "nightshift"} <= set(boot.versions)
    # The kernel keeps its peak up to date a little late.
    assert boot.memory_total_bytes > 1.01 * boot.rss_lifetime_peak_bytes > max(row.rss_after_bytes for row in attempts)
    assert (load.boot_id, load.checkpoint, load.warmup_steps) == (boot.id, "demo", 2)
    assert load.revision.startswith("sha256:")
    assert load.load_s > 0
    assert load.warmup_s > 0
    assert 0 < load.rss_before_bytes < load.rss_after_bytes
    assert {(row.boot_id, row.load_id) for row in attempts} == {(boot.id, load.id)}


def test_status_says_how_far_the_batch_is(nightshift, jobs):
    status = nightshift.read_json("status", "shoes")
    assert status["counts"] == dict.fromkeys(JobState, 0) | {"succeeded": MADE}
    assert (status["name"], status["total"], status["remaining"], status["unpublished"]) == ("shoes", MADE, 0, 0)
    assert status["failures"] == []


def test_the_reports_figures_are_those_of_the_rows(nightshift, attempts):
    report = nightshift.read_json("report", "shoes")
    speed, memory = report["speed"], {row["kind"]: row for row in report["memory"]}
    steady = [row.total_s for row in attempts if not row.cold]
    assert (speed["pictures"], speed["cold_pictures"], speed["steady_pictures"]) == (MADE, 1, MADE - 1)
    assert speed["mean_s"] == pytest.approx(sum(steady) / len(steady))
    assert (speed["min_s"], speed["max_s"]) == pytest.approx((min(steady), max(steady)))
    assert speed["busy_s"] == pytest.approx(sum(row.total_s for row in attempts))
    for part in DEVICE_PARTS:
        mean = sum(getattr(row, f"{part}_s") for row in attempts) / MADE
        assert speed["parts"][part]["mean_s"] == pytest.approx(mean)
    assert sum(part["share"] for part in speed["parts"].values()) == pytest.approx(1)
    assert speed["save_mean_s"] == pytest.approx(sum(row.save_s for row in attempts) / MADE)
    assert list(memory) == list(MEMORY_KINDS)
    assert memory["rss"]["before"] == attempts[0].rss_before_bytes
    assert memory["rss"]["peak"] == max(row.rss_peak_bytes for row in attempts)
    assert memory["rss"]["after"] == attempts[-1].rss_after_bytes
    assert {memory[kind][moment] for kind in memory if "device" in kind for moment in ("before", "peak", "after")} == {
        None
    }
    (load,) = report["loads"]
    row = nightshift.rows(Load)[0]
    assert (load["load_s"], load["warmup_s"], load["revision"]) == (row.load_s, row.warmup_s, row.revision)
    assert report["failures"] == {}
    assert report["lost_attempts"] == 0


def test_the_same_job_gives_the_same_pixels_after_others_and_after_a_restart(nightshift, worker):
    same = {"prompt": "a red shoe", "seed": 7}
    others: list[dict[str, object]] = [
        {"scheduler": "Euler a"},
        {"seed": 8},
        {"width": 256},
        {"guidance": 1},
        {"prompt": "a boot"},
    ]
    lines = [same, *({**same, **other} for other in others), same]
    prompts = nightshift.folder / "same.jsonl"
    prompts.write_text("\n".join(map(json.dumps, lines)))

    first, *between, again = nightshift.wait_until_finished(nightshift.enqueue("--prompts", prompts))
    assert worker.stop() == 0
    restarted = nightshift.wait_until_ready(nightshift.start_worker())
    (after_restart,) = nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a red shoe", "--seed", 7))

    assert nightshift.rows(Attempt)[-1].boot_id == nightshift.rows(Boot)[-1].id
    assert nightshift.rows(Boot)[-1].pid == restarted.pid
    assert pixels(nightshift, first) == pixels(nightshift, again) == pixels(nightshift, after_restart)
    assert len({pixels(nightshift, job) for job in (first, *between)}) == len(lines) - 1
