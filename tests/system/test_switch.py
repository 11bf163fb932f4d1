"""Jobs that name another checkpoint than the worker's: it switches, or refuses, and always goes on."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file
from single_file import write_single_file

from models.checkpoints import DEMO_FOLDER
from models.records.tables import Attempt, Load
from worker.engine.checkpoints.local_checkpoint import find_checkpoint

COMMIT = "0123456789abcdef0123456789abcdef01234567"
#: Its embedding is not a number in the checkpoint `poisoned`.
POISONED_WORD = "boot"


@pytest.fixture(scope="module")
def checkpoints(nightshift):
    """What the jobs name, by a word of this module's."""
    folder = nightshift.folder / "checkpoints"
    copy = shutil.copytree(DEMO_FOLDER, folder / "copy")
    write_single_file(DEMO_FOLDER, folder / "one.safetensors")
    poison(folder / "poisoned")
    broken = Path(shutil.copytree(DEMO_FOLDER, folder / "broken"))
    (broken / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"\xff" * 1000)
    repository = nightshift.folder / "hub" / "hub" / "models--somebody--demo"
    shutil.copytree(DEMO_FOLDER, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    named = {name: str(folder / name) for name in ("copy", "poisoned", "broken", "nowhere")}
    return named | {"demo": "demo", "single": str(folder / "one.safetensors"), "hub": "somebody/demo", "": copy}


def poison(folder):
    shutil.copytree(DEMO_FOLDER, folder)
    tokens = json.loads((folder / "tokenizer" / "tokenizer.json").read_text())["model"]["vocab"]
    file = folder / "text_encoder" / "model.safetensors"
    weights = load_file(file)
    (name,) = [name for name in weights if name.endswith("token_embedding.weight")]
    weights[name][tokens[f"{POISONED_WORD}</w>"]] = float("nan")
    save_file(weights, file, metadata={"format": "pt"})


@pytest.fixture(scope="module")
def nightshift(installation):
    # In turn, as they are written: the last one goes back to the first one's checkpoint.
    with installation(NIGHTSHIFT_SINGLE_FILE_CONFIG=str(DEMO_FOLDER), NIGHTSHIFT_GROUP_S="0") as made:
        yield made


#: The checkpoint of each job in turn, its prompt where that matters, and how it ends.
JOBS = [
    ("demo", "a shoe", "succeeded"),
    ("copy", "a shoe", "succeeded"),
    ("copy", "a shoe", "succeeded"),
    ("nowhere", "a shoe", "checkpoint"),
    ("copy", "a shoe", "succeeded"),
    ("single", "a shoe", "succeeded"),
    ("broken", "a shoe", "checkpoint"),
    ("hub", "a shoe", "succeeded"),
    ("poisoned", "a shoe", "succeeded"),
    ("poisoned", f"a {POISONED_WORD}", "not_finite"),
    ("poisoned", "a shoe", "succeeded"),
    ("demo", "a shoe", "succeeded"),
]


@pytest.fixture(scope="module")
def jobs(nightshift, checkpoints):
    """All of `JOBS` as one batch, finished by one worker."""
    size = {"seed": 5, "width": 128, "height": 128, "steps": 6, "scheduler": "DPM++ 2M"}
    lines = [{"prompt": prompt, "checkpoint": checkpoints[name], **size} for name, prompt, _ in JOBS]
    prompts = nightshift.folder / "jobs.jsonl"
    prompts.write_text("\n".join(map(json.dumps, lines)))
    batch = nightshift.enqueue("--prompts", prompts)
    nightshift.start_worker()
    return nightshift.wait_until_finished(batch)


def content(nightshift, job):
    with Image.open(nightshift.data_dir / job.picture) as image:
        image.load()
        return image.tobytes(), image.info["parameters"]


def test_each_job_ends_as_its_checkpoint_lets_it(jobs):
    assert [job.cause or job.state for job in jobs] == [end for _, _, end in JOBS]
    assert {job.state for job in jobs if job.cause} == {"failed"}


def test_a_switch_is_a_load_of_its_own_and_no_other_job_has_one(nightshift, jobs, checkpoints):
    loads = nightshift.rows(Load)
    # The worker's own demo; and what failed to load has no row, but the one after it is loaded anew.
    names = ["demo", "copy", "single", "hub", "poisoned", "demo"]
    assert [load.checkpoint for load in loads] == [checkpoints[name] for name in names]
    assert all(load.load_s > 0 and load.warmup_s > 0 and load.rss_after_bytes > 0 for load in loads)
    used = [row.load_id for row in nightshift.rows(Attempt)]
    first, second, third, fourth, fifth, sixth = (load.id for load in loads)
    assert used == [first, second, second, None, second, third, None, fourth, fifth, fifth, fifth, sixth]


def test_a_load_names_the_revision_of_its_files(nightshift, jobs, checkpoints):
    demo, copy, single, hub, poisoned, again = (load.revision for load in nightshift.rows(Load))
    assert demo == copy == again == find_checkpoint("demo").revision
    assert single == f"sha256:{hashlib.sha256(Path(checkpoints['single']).read_bytes()).hexdigest()}"
    assert hub == COMMIT
    assert poisoned not in (demo, single)


def test_the_same_weights_give_the_same_picture_whatever_they_are_called(nightshift, jobs):
    made = [job for job in jobs if job.picture]
    assert len(made) == 9
    assert len({content(nightshift, job)[0] for job in made}) == 1


def test_a_picture_names_its_checkpoint(nightshift, jobs, checkpoints):
    models = {
        name: content(nightshift, job)[1].split("Size: 128x128, ")[1].split(", RNG")[0]
        for job, (name, _, _) in zip(jobs, JOBS, strict=True)
        if job.picture
    }
    digest = hashlib.sha256(Path(checkpoints["single"]).read_bytes()).hexdigest()
    assert models == {
        "demo": "Model: demo",
        "copy": "Model: copy",
        "single": f"Model hash: {digest[:10]}, Model: one",
        "hub": "Model: demo",
        "poisoned": "Model: poisoned",
    }


def test_a_job_that_failed_leaves_no_picture_and_says_why_in_one_line(nightshift, jobs):
    failed = {job.id: job for job in jobs if job.state == "failed"}
    folder = nightshift.data_dir / "pictures" / "batch-0001"
    assert sorted(path.name for path in folder.iterdir()) == [
        f"job-{job.id:08d}.png" for job in jobs if job.id not in failed
    ]
    worker = nightshift.workers[0]
    for job in failed.values():
        assert (job.picture, len(job.error.splitlines())) == (None, 1)
        (line,) = [line for line in worker.lines if f"job {job.id} (" in line]
        assert "ERROR" in line
        assert job.error in line
    assert "Traceback" not in worker.log
    assert nightshift.read_json("report")["failures"] == {"checkpoint": 2, "not_finite": 1}


def test_a_pinned_worker_refuses_another_checkpoint_and_makes_the_next_job(installation):
    with installation(NIGHTSHIFT_PIN_CHECKPOINT="true") as pinned:
        refused = pinned.enqueue("--prompt", "a shoe", "--checkpoint", DEMO_FOLDER)
        following = pinned.enqueue("--prompt", "a shoe")
        pinned.start_worker()
        pinned.wait_until_finished()
        (job,) = pinned.jobs(refused)
        assert (job.state, job.cause) == ("failed", "checkpoint")
        assert "NIGHTSHIFT_PIN_CHECKPOINT" in job.error
        assert [job.state for job in pinned.jobs(following)] == ["succeeded"]
        assert [load.checkpoint for load in pinned.rows(Load)] == ["demo"]
