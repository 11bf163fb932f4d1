"""Jobs with LoRAs among others: each picture is what it is alone, the record says with what, a bad file stops none."""

import json
import random
from collections import Counter

import numpy as np
import pytest
from lora_files import kohya, random_layers, save
from PIL import Image

from models.records.tables import Attempt
from models.types.states import JobState
from worker.engine.checkpoints.local_checkpoint import find_checkpoint
from worker.engine.devices.cpu import Cpu
from worker.engine.loading import load_checkpoint

SETS = ("", "olive:0.8", "leather", "olive:0.5, worn:-0.5", "worn")


@pytest.fixture(scope="module")
def pipeline(settings):
    import torch

    return load_checkpoint(find_checkpoint("demo"), Cpu("cpu", torch.float32), settings()).pipeline


@pytest.fixture(scope="module")
def nightshift(installation, pipeline):
    with installation() as made:
        for seed, name in enumerate(("olive", "leather", "worn")):
            save(kohya(random_layers(pipeline, seed)), made.data_dir / "loras" / f"{name}.safetensors")
        yield made


@pytest.fixture(scope="module")
def mixed(nightshift):
    """Make jobs of all sets in a random order, by calls of up to four; return them, and the same made one by one."""
    order = [lora for lora in SETS for _ in range(8)]
    random.Random(1).shuffle(order)
    batches = []
    for names, a_call in ((order, "4"), (sorted(order), "1")):
        lines = [json.dumps({"prompt": "a red boot", "seed": 7, "steps": 2, "lora": lora}) for lora in names]
        file = nightshift.folder / "jobs.jsonl"
        file.write_text("\n".join(lines))
        batches.append(nightshift.enqueue_at_once("--prompts", file))
        worker = nightshift.start_worker(NIGHTSHIFT_PICTURES_A_CALL=a_call)
        nightshift.wait_until_finished(batches[-1])
        assert worker.stop() == 0
    return batches


def pixels(nightshift, job):
    return np.asarray(Image.open(nightshift.data_dir / job.picture)).tobytes()


def attempts(nightshift, batch):
    jobs = {job.id: job for job in nightshift.jobs(batch)}
    return [(row, jobs[row.job_id]) for row in nightshift.rows(Attempt) if row.job_id in jobs]


def test_a_job_gives_the_same_picture_whatever_was_made_before_it_and_with_it(nightshift, mixed):
    found = {lora: set() for lora in SETS}
    for batch in mixed:
        for job in nightshift.jobs(batch):
            assert job.state == JobState.SUCCEEDED
            found[job.lora].add(pixels(nightshift, job))
    assert {lora: len(pictures) for lora, pictures in found.items()} == dict.fromkeys(SETS, 1)
    assert len(set.union(*found.values())) == len(SETS)


def test_jobs_of_one_set_run_together_and_a_switch_is_measured(nightshift, mixed):
    rows = attempts(nightshift, mixed[0])
    made = [job.lora for _, job in rows]
    turns = [lora for place, lora in enumerate(made) if place == 0 or lora != made[place - 1]]
    assert Counter(turns) == Counter(SETS)
    assert Counter(row.pictures_a_call for row, _ in rows) == {4: 40}
    switched = [row.switch_s for row, _ in rows if row.switch_s is not None]
    # Four jobs of a call have a share of it each; the first set may have been none.
    assert len(switched) == 4 * len([lora for place, lora in enumerate(turns) if place or lora])
    # What a switch takes is no wait of the device for its next picture.
    assert {row.gap_s for row, _ in rows if row.switch_s is not None} == {None}
    assert any(row.gap_s is not None for row, _ in rows)
    shown = nightshift.producer("report", mixed[0]).stdout
    assert f"LoRAs switched: {len(switched) // 4} times, " in shown


def test_row_picture_and_show_say_what_it_was_made_with(nightshift, mixed):
    row, job = next((row, job) for row, job in attempts(nightshift, mixed[0]) if job.lora == "olive:0.5, worn:-0.5")
    olive, worn = row.loras
    assert (olive["name"], olive["scale"], worn["name"], worn["scale"]) == ("olive", 0.5, "worn", -0.5)
    with Image.open(nightshift.data_dir / job.picture) as picture:
        said = picture.info["parameters"]
    assert said.startswith("a red boot <lora:olive:0.5> <lora:worn:-0.5>\n")
    assert f'Lora hashes: "olive: {olive["sha256"][:12]}, worn: {worn["sha256"][:12]}"' in said
    shown = nightshift.producer("show", job.id).stdout
    assert "olive:0.5, worn:-0.5" in shown
    assert olive["sha256"] in shown.replace("\n", "")


def test_a_picture_is_made_again_from_itself(nightshift, mixed):
    job = next(job for job in nightshift.jobs(mixed[0]) if job.lora == "olive:0.8")
    batch = nightshift.enqueue("--from", nightshift.data_dir / job.picture)
    (again,) = nightshift.jobs(batch)
    assert (again.lora, again.prompt) == ("olive:0.8", "a red boot")
    other = nightshift.enqueue("--from", nightshift.data_dir / job.picture, "--lora", "worn")
    assert [job.lora for job in nightshift.jobs(other)] == ["worn"]
    worker = nightshift.start_worker()
    nightshift.wait_until_finished(batch)
    nightshift.wait_until_finished(other)
    assert worker.stop() == 0
    assert pixels(nightshift, nightshift.jobs(batch)[0]) == pixels(nightshift, job)


def test_an_export_says_it(nightshift, mixed, tmp_path):
    done = nightshift.producer("export", mixed[0], tmp_path / "set")
    assert done.returncode == 0, done.stderr
    card = (tmp_path / "set" / "README.md").read_text()
    row = next(row for row, job in attempts(nightshift, mixed[0]) if job.lora == "leather")
    assert f"- With LoRA leather (sha256 {row.loras[0]['sha256']}): 8 pictures." in card


def test_what_is_gone_replaced_or_cut_short_meanwhile_fails_its_own_jobs_alone(nightshift, pipeline):
    folder = nightshift.data_dir / "loras"
    for name in ("gone", "cut", "replaced"):
        save(kohya(random_layers(pipeline, 5)), folder / f"{name}.safetensors")
    asked = ("gone", "cut", "replaced", "nowhere", "")
    batches = {
        name: nightshift.enqueue_at_once("--prompt", "a boot", "--count", 2, "--steps", 2, "--lora", name)
        for name in asked
    }
    (folder / "gone.safetensors").unlink()
    content = (folder / "cut.safetensors").read_bytes()
    (folder / "cut.safetensors").write_bytes(content[: len(content) // 2])
    save(kohya(random_layers(pipeline, 6)), folder / "replaced.safetensors")
    worker = nightshift.start_worker(NIGHTSHIFT_PICTURES_A_CALL="2")
    jobs = {name: nightshift.wait_until_finished(batch) for name, batch in batches.items()}
    assert worker.stop() == 0
    for name in ("gone", "cut", "nowhere"):
        assert {(job.state, job.cause, job.attempts) for job in jobs[name]} == {(JobState.FAILED, "lora", 1)}
        assert all(f"{name}.safetensors" in job.error for job in jobs[name])
    assert "cut short" in jobs["cut"][0].error
    assert {job.state for name in ("replaced", "") for job in jobs[name]} == {JobState.SUCCEEDED}
    # Which of the two files it was, the record says.
    (used,) = next(row.loras for row, job in attempts(nightshift, batches["replaced"]))
    save(kohya(random_layers(pipeline, 6)), folder / "same.safetensors")
    batch = nightshift.enqueue("--prompt", "a boot", "--steps", 2, "--lora", "same")
    worker = nightshift.start_worker()
    nightshift.wait_until_finished(batch)
    assert worker.stop() == 0
    assert next(row.loras for row, job in attempts(nightshift, batch))[0]["sha256"] == used["sha256"]


def test_one_that_is_not_on_this_machine_is_told_of_and_run_refuses_it(nightshift, tmp_path):
    (tmp_path / "p.txt").write_text("a boot\na boot <lora:olife>\n")
    done = nightshift.producer("enqueue", "--prompts", tmp_path / "p.txt", "--dry-run")
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith("producer: warning: line 2: LoRA olife: there is no olife.safetensors in ")
    assert "leather" in line
    refused = nightshift.producer("run", "--prompts", tmp_path / "p.txt")
    assert refused.returncode == 2
    assert (
        f"p.txt, line 2: LoRA olife: there is no olife.safetensors in {nightshift.data_dir / 'loras'}" in refused.stderr
    )


def test_a_file_is_named_by_its_path_where_it_lies_in_the_folder(nightshift, pipeline, tmp_path):
    inside, outside = nightshift.data_dir / "loras" / "olive.safetensors", tmp_path / "x.safetensors"
    save(kohya(random_layers(pipeline)), outside)
    batch = nightshift.enqueue("--prompt", "a boot", "--lora", f"{inside}:0.5")
    # Where it lies on this disk is nobody's business who sees the pictures.
    assert [job.lora for job in nightshift.jobs(batch)] == ["olive:0.5"]
    refused = nightshift.producer("run", "--prompt", "a boot", "--lora", outside)
    assert refused.returncode == 2
    assert f"LoRA {tmp_path / 'x'} lies outside of {nightshift.data_dir / 'loras'}" in refused.stderr
