"""`producer bench`: what it measures and writes, and when it refuses."""

import json
import os
import signal
from pathlib import Path

import pytest
from installation import Installation

BENCH = ("bench", "--checkpoint", "demo", "--pictures", "3", "--steps", "4")


def test_it_measures_writes_a_file_and_leaves_nothing(nightshift: Installation, tmp_path: Path):
    file = tmp_path / "here.json"
    done = nightshift.producer(*BENCH, str(file))
    assert done.returncode == 0, done.stderr
    assert f"written to {file}" in done.stdout
    (result,) = json.loads(file.read_text())["results"]
    assert (result["pictures"], result["steps"], result["checkpoint"]) == (3, 4, "demo")
    assert result["device"] == "cpu"
    assert result["mean_s"] > 4 * result["step_s"] > 0
    work = result["width"] * result["height"] * 4 / 1e6
    assert result["megapixel_steps_per_s"] == pytest.approx(work / result["mean_s"])
    for figure in ("load_s", "warmup_s", "rss_peak_bytes", "threads", "memory_total_bytes"):
        assert result[figure] > 0
    assert result["device_peak_bytes"] is None
    assert result["versions"]["torch"]
    assert nightshift.left_running() == []
    # Nothing of it is among the batches or the pictures.
    assert nightshift.jobs() == []
    assert list(nightshift.data_dir.rglob("*.png")) == []

    refused = nightshift.producer(*BENCH, str(file))
    assert refused.returncode == 2
    assert refused.stderr == f"producer: {file} is there already: name another, or move it away\n"


def test_a_folder_that_is_not_there_is_said_before_anything_is_measured(nightshift: Installation, tmp_path: Path):
    done = nightshift.producer(*BENCH, str(tmp_path / "none" / "here.json"))
    assert done.returncode == 2
    assert done.stderr == f"producer: {tmp_path}/none is no folder: make it, or name another\n"


def test_beside_a_worker_nothing_is_measured(nightshift: Installation, tmp_path: Path):
    nightshift.wait_until_ready(nightshift.start_worker())
    done = nightshift.producer(*BENCH, str(tmp_path / "here.json"))
    assert done.returncode == 1
    assert done.stderr == "producer: not measured: a worker has the cpu of this machine; stop it first\n"


def test_what_two_workers_made_is_no_measurement(nightshift: Installation, tmp_path: Path):
    file = tmp_path / "here.json"
    process = nightshift.start_producer(*BENCH[:3], "--pictures", "16", str(file))
    folder = nightshift.data_dir / "bench"
    nightshift.wait_until(lambda: len(list(folder.rglob("*.png"))) >= 3, "pictures that are recorded")
    os.kill(json.loads((folder / "worker.pid").read_text())["pid"], signal.SIGKILL)
    said = process.wait()
    assert process.status == 1, said
    assert "producer: not measured: the worker was started again meanwhile" in said
    assert not file.exists()
    assert nightshift.left_running() == []


def test_ctrl_c_ends_it_without_a_file(nightshift: Installation, tmp_path: Path):
    file = tmp_path / "here.json"
    process = nightshift.start_producer(*BENCH[:3], "--pictures", "500", str(file))
    nightshift.wait_until(lambda: process.output.startswith("starting a worker on demo"), "it to begin")
    process.send(signal.SIGINT)
    said = process.wait()
    assert process.status == 1, said
    assert "Traceback" not in said
    assert not file.exists()
    assert nightshift.left_running() == []
