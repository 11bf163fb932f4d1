"""`producer workers`, and `producer run` for several devices: one worker each, looked after."""

import json
import os
import signal

import psutil
import pytest
from faults import faulty

from models.records.tables import Attempt, Boot
from models.types.states import JobState

#: The second is a stand-in that computes on the CPU: this machine has no second device.
TWO = ("--device", "cpu", "--device", "mps")


@pytest.fixture
def nightshift(installation):
    with faulty(installation, STAND_IN="222", NIGHTSHIFT_PICTURES_A_CALL="1") as (made, _):
        yield made


def worker_pids(nightshift):
    folder = nightshift.data_dir / "workers"
    return {file.stem: json.loads(file.read_text())["pid"] for file in folder.glob("*.pid")}


def wait_until_ready(nightshift, count):
    def ready():
        return [boot.device for boot in nightshift.rows(Boot) if boot.ready_at is not None]

    return nightshift.wait_until(lambda: len(ready()) >= count and ready(), f"{count} workers to be ready")


def end(process):
    process.send(signal.SIGINT)
    said = process.wait()
    return process.status, said


def test_each_device_has_a_worker_that_is_started_again_and_ends_in_order(nightshift):
    process = nightshift.start_producer("workers", *TWO)
    assert sorted(wait_until_ready(nightshift, 2)) == ["cpu", "mps"]
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 12, "--steps", 8)
    nightshift.wait_until(lambda: len({row.boot_id for row in nightshift.rows(Attempt)}) == 2, "both to be at work")
    killed = worker_pids(nightshift)["worker-mps"]
    os.kill(killed, signal.SIGKILL)
    assert {job.state for job in nightshift.wait_until_finished(batch)} == {JobState.SUCCEEDED}
    wait_until_ready(nightshift, 3)
    assert worker_pids(nightshift)["worker-mps"] != killed
    status, said = end(process)
    assert status == 0, said
    assert "cpu | " in said
    assert "mps | " in said
    assert "the worker on mps is started again: SIGKILL ended it" in said
    assert "ready for jobs on mps (stand-in GPU)" in said
    assert said.count("SIGTERM: finishes the running job and ends") == 2
    assert nightshift.left_running() == []
    assert worker_pids(nightshift) == {}


def test_a_device_that_is_not_there_is_said_and_the_others_go_on(nightshift):
    process = nightshift.start_producer("workers", "--device", "cpu", "--device", "cuda:7")
    wait_until_ready(nightshift, 1)
    batch = nightshift.enqueue("--prompt", "a red boot")
    assert {job.state for job in nightshift.wait_until_finished(batch)} == {JobState.SUCCEEDED}
    folder = nightshift.data_dir / "workers"
    nightshift.wait_until(lambda: not psutil.pid_exists(worker_pids(nightshift)["worker-cuda-7"]), "the other to end")
    status, said = end(process)
    assert status == 0, said
    assert "the worker on cuda:7 ended with status" in said
    assert f"(its log: {folder}/worker-cuda-7.log); the others go on" in said


def test_where_none_can_start_it_ends_with_a_line(nightshift):
    done = nightshift.producer("workers", "--device", "cuda:7")
    assert done.returncode == 1
    assert done.stderr.startswith("producer: the worker ended with status")
    assert "there is no such device here" in done.stderr
    assert nightshift.left_running() == []


def test_one_at_a_time_and_what_a_killed_one_left_is_stopped(nightshift):
    first = nightshift.start_producer("workers", "--device", "cpu")
    wait_until_ready(nightshift, 1)
    refused = nightshift.producer("workers", "--device", "cpu")
    assert refused.returncode == 1
    assert "another `producer workers` is at work" in refused.stderr
    (left,) = worker_pids(nightshift).values()
    first.kill()
    assert psutil.pid_exists(left)
    again = nightshift.start_producer("workers", "--device", "cpu")
    wait_until_ready(nightshift, 2)
    status, said = end(again)
    assert status == 0, said
    assert "stopped a worker that an earlier run left behind" in said
    assert nightshift.left_running() == []


def test_a_run_uses_several_devices(nightshift):
    done = nightshift.producer("run", "--prompt", "a red boot", "--count", 30, "--steps", 8, *TWO)
    assert done.returncode == 0, done.stderr
    assert "starting workers for cpu, mps" in done.stdout
    assert "30 of 30 pictures made" in done.stdout
    boots = {boot.id: boot.device for boot in nightshift.rows(Boot)}
    assert {boots[row.boot_id] for row in nightshift.rows(Attempt)} == {"cpu", "mps"}
    assert nightshift.left_running() == []


def test_a_device_that_is_none_is_refused(nightshift):
    done = nightshift.producer("workers", "--device", "tpu")
    assert done.returncode == 2
    assert "tpu is none of all, mps, cuda, cuda:N, cpu" in done.stderr


def test_all_are_those_that_this_machine_has(nightshift):
    process = nightshift.start_producer("workers")
    assert wait_until_ready(nightshift, 1) == ["cpu"]
    status, said = end(process)
    assert status == 0, said
