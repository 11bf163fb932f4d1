"""A worker's start: what it waits for, what stops it, and what it does before the first job."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import save

from models.checkpoints import DEMO_FOLDER
from models.records.tables import Attempt, Boot, Load

#: One that a machine of this kind never has.
ABSENT_DEVICE = "cuda" if sys.platform == "darwin" else "mps"


def missing_folder(nightshift):
    return {"NIGHTSHIFT_CHECKPOINT": "/no/such/checkpoint"}


def absent_device(nightshift):
    return {"NIGHTSHIFT_DEVICE": ABSENT_DEVICE}


def database_of_a_newer_version(nightshift):
    with nightshift.database.writing() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    return {}


def unreachable_folder(nightshift):
    (nightshift.folder / "file").write_text("in the way")
    return {"NIGHTSHIFT_DATA_DIR": str(nightshift.folder / "file" / "data")}


def another_pipeline(nightshift):
    copy = copied(nightshift)
    index = json.loads((copy / "model_index.json").read_text())
    (copy / "model_index.json").write_text(json.dumps(index | {"_class_name": "StableDiffusionXLPipeline"}))
    return {"NIGHTSHIFT_CHECKPOINT": str(copy)}


def pickled_weights_only(nightshift):
    copy = copied(nightshift)
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    save(load_file(weights), weights.with_suffix(".bin"))
    weights.unlink()
    return {"NIGHTSHIFT_CHECKPOINT": str(copy)}


def garbage_for_weights(nightshift):
    copy = copied(nightshift)
    (copy / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"\xff" * 4096)
    return {"NIGHTSHIFT_CHECKPOINT": str(copy)}


def no_safety_checker(nightshift):
    return {"NIGHTSHIFT_SAFETY_CHECKER": "true"}


def copied(nightshift):
    return Path(shutil.copytree(DEMO_FOLDER, nightshift.folder / "checkpoint"))


#: What is wrong, and what the one line must name.
FAULTS = {
    missing_folder: ("/no/such/checkpoint", "there is no such file or folder", "NIGHTSHIFT_CHECKPOINT"),
    absent_device: (f"NIGHTSHIFT_DEVICE={ABSENT_DEVICE}", "there is ", "cpu. Set one of them"),
    database_of_a_newer_version: ("nightshift.db", "version 9999"),
    unreachable_folder: ("/file/data", "NIGHTSHIFT_DATA_DIR"),
    another_pipeline: ("StableDiffusionXLPipeline", "only a StableDiffusionPipeline"),
    pickled_weights_only: ("checkpoint/unet", "diffusion_pytorch_model.safetensors"),
    garbage_for_weights: ("/checkpoint cannot be loaded",),
    no_safety_checker: ("NIGHTSHIFT_SAFETY_CHECKER", "brings no safety checker"),
}


def assert_one_critical_line(worker, *words):
    (line,) = [line for line in worker.lines if "CRITICAL" in line]
    assert worker.lines[-1] == line
    for word in words:
        assert word in line
    assert "Traceback" not in worker.log
    assert not [line for line in worker.lines if not re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z]+ ", line)]


def test_the_worker_waits_for_redis_and_goes_on_when_it_comes(installation, new_server):
    server = new_server(password="hidden-word")
    with installation(server.url()) as nightshift:
        worker = nightshift.start_worker()
        address = f"redis://:**@127.0.0.1:{server.port}/0"
        nightshift.wait_until(lambda: address in worker.log.replace("***", "**"), "the worker to say where it tries")
        nightshift.wait_until(lambda: "Trying again" in worker.log, "the worker to say that it goes on trying")
        assert worker.status is None
        server.start()
        jobs = nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a shoe"))
        assert [job.state for job in jobs] == ["succeeded"]
        assert "hidden-word" not in worker.log
        assert "Traceback" not in worker.log


@pytest.fixture(scope="module")
def started(installation):
    """A worker that found a job waiting when it started."""
    with installation() as made:
        made.enqueue("--prompt", "a shoe")
        worker = made.start_worker_anew(NIGHTSHIFT_WARMUP_STEPS="3", NIGHTSHIFT_WARMUP_STEP="4")
        made.wait_until(lambda: "job 1 (prompt-1)" in worker.log, "the job to be done")
        yield made


def test_a_misspelt_setting_is_told_of_at_the_start(started):
    (told,) = [line for line in started.workers[0].lines if "is no setting" in line]
    assert "NIGHTSHIFT_WARMUP_STEP (environment) is no setting; NIGHTSHIFT_WARMUP_STEPS is; it is not looked at" in told


def test_load_and_warm_up_come_before_the_first_job(started):
    said = [line.split(maxsplit=3)[3] for line in started.workers[0].lines]
    steps = ("loading demo from ", "loaded demo (", "warmed up in ", "ready for jobs on cpu", "job 1 (prompt-1) made")
    places = [next(i for i, line in enumerate(said) if line.startswith(step)) for step in steps]
    assert places == sorted(places)
    assert re.search(r"^loaded demo \([0-9a-f]{10}\) in \d+\.\d\d s: cpu, float32$", "\n".join(said), re.M)
    assert re.search(r"^warmed up in \d+\.\d\d s \(3 steps at 128x128\); memory \d\.\d\d GB$", "\n".join(said), re.M)


def test_load_and_warm_up_are_recorded_before_the_first_job(started):
    (boot,), (load,), (attempt,) = (started.rows(table) for table in (Boot, Load, Attempt))
    assert boot.started_at <= load.loaded_at <= boot.ready_at <= attempt.started_at
    assert load.warmup_steps == 3
    assert boot.ended_at is None


def test_a_second_worker_on_the_device_is_refused_and_the_first_goes_on(started):
    second = started.start_worker()
    assert second.wait() == 1
    assert_one_critical_line(second, "another worker has the device cpu", "NIGHTSHIFT_DEVICE")
    assert len(started.rows(Boot)) == 1
    (job,) = started.wait_until_finished(started.enqueue("--prompt", "a boot"))
    assert job.state == "succeeded"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_start_that_cannot_be_ends_with_one_line_that_says_why(installation, new_server, fault):
    # Nobody listens there: a worker that passes over its fault waits instead of ending.
    with installation(new_server().url()) as nightshift:
        worker = nightshift.start_worker(**fault(nightshift))
        assert worker.wait() == 1
        assert_one_critical_line(worker, "the worker cannot start", *FAULTS[fault])


@pytest.mark.parametrize(
    ("name", "value"),
    [("NIGHTSHIFT_DEVICE", "tpu"), ("NIGHTSHIFT_WARMUP_STEPS", "none"), ("NIGHTSHIFT_CHECKPOINT", " ")],
)
def test_a_setting_that_cannot_be_used_is_named_in_one_line(nightshift, name, value):
    worker = nightshift.start_worker_anew(**{name: value})
    assert worker.wait() == 1
    (line,) = worker.lines
    assert line.startswith(f"{name}={value!r}: ")
