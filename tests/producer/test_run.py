"""`producer run`: everything in one, whatever interrupts it."""

import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
from installation import PATIENCE_S, PRODUCER, Installation

from models.states import JobState, Outcome
from models.tables import Attempt, Batch

JOBS = 12
ARGUMENTS = ("run", "--prompt", "a red shoe", "--count", str(JOBS), "--seed", "1", "--steps", "40")


def start(nightshift: Installation) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(PRODUCER), *ARGUMENTS],
        env=os.environ | nightshift.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # pytest's own Ctrl+C must not reach it, and ours must not reach pytest.
        start_new_session=True,
    )


def made(nightshift: Installation) -> int:
    return sum(job.state == JobState.SUCCEEDED for job in nightshift.jobs()) if nightshift.data_dir.exists() else 0


def wait_until_made(nightshift: Installation, process: subprocess.Popen[str], count: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while made(nightshift) < count:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def left_running(data_dir: Path) -> list[str]:
    """Return the server and workers that belong to the data folder."""
    found = []
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            if process.status() != psutil.STATUS_ZOMBIE and ("valkey-server" in words or "-A worker" in words):
                mine = str(data_dir) in words or process.environ().get("NIGHTSHIFT_DATA_DIR") == str(data_dir)
                found += [words] * mine
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def outcomes(nightshift: Installation) -> Counter[str]:
    return Counter(attempt.outcome for attempt in nightshift.rows(Attempt))


def test_it_makes_every_picture_and_leaves_nothing_running(nightshift: Installation):
    done = nightshift.producer(*ARGUMENTS, "--batch", "red")
    assert done.returncode == 0, done.stderr
    assert f"{JOBS} of {JOBS} pictures made" in done.stdout
    folder = nightshift.data_dir / "pictures" / "batch-0001"
    assert f"The pictures are in {folder}" in done.stdout
    assert len(list(folder.glob("*.png"))) == JOBS
    assert left_running(nightshift.data_dir) == []


def test_ctrl_c_finishes_the_picture_and_the_same_command_goes_on(nightshift: Installation):
    first = start(nightshift)
    wait_until_made(nightshift, first, 2)
    first.send_signal(signal.SIGINT)
    said = first.communicate(timeout=PATIENCE_S)[0]
    assert first.returncode == 1, said
    assert "the same command goes on with it" in said
    assert left_running(nightshift.data_dir) == []
    assert set(outcomes(nightshift)) == {Outcome.SUCCEEDED}
    assert 2 <= made(nightshift) < JOBS

    again = nightshift.producer(*ARGUMENTS)
    assert again.returncode == 0, again.stderr
    assert "going on with its unfinished jobs" in again.stdout
    assert outcomes(nightshift) == {Outcome.SUCCEEDED: JOBS}
    assert len(nightshift.rows(Batch)) == 1


def test_a_run_that_was_killed_is_taken_up_and_its_leftovers_replaced(nightshift: Installation):
    first = start(nightshift)
    wait_until_made(nightshift, first, 2)
    refused = nightshift.producer(*ARGUMENTS)
    assert refused.returncode == 1
    assert refused.stderr.startswith("producer: another `producer run` is at work")
    first.kill()
    first.communicate()
    assert len(left_running(nightshift.data_dir)) == 2

    again = nightshift.producer(*ARGUMENTS)
    assert again.returncode == 0, again.stderr
    assert "stopped a worker that an earlier run left behind" in again.stdout
    assert left_running(nightshift.data_dir) == []
    assert outcomes(nightshift)[Outcome.SUCCEEDED] == JOBS
    assert made(nightshift) == JOBS


def test_a_finished_batch_is_made_anew(nightshift: Installation):
    for _ in range(2):
        assert nightshift.producer("run", "--prompt", "a blue shoe", "--seed", "1").returncode == 0
    assert [batch.name for batch in nightshift.rows(Batch)] == ["prompt-1", "prompt-2"]
    assert made(nightshift) == 2


def test_a_worker_that_cannot_start_ends_it_with_its_reason(nightshift: Installation, tmp_path: Path):
    done = nightshift.producer("run", "--prompt", "a shoe", "--checkpoint", tmp_path)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("producer: ")]
    assert "the worker cannot start: checkpoint" in line
    assert left_running(nightshift.data_dir) == []
    assert [job.state for job in nightshift.jobs()] == [JobState.QUEUED]


@pytest.mark.parametrize("length", [150])
def test_a_data_folder_longer_than_a_socket_may_be(installation, length: int):
    with installation() as nightshift:
        deep = nightshift.folder / ("x" * length)
        done = nightshift.producer("run", "--prompt", "a shoe", NIGHTSHIFT_DATA_DIR=str(deep))
        assert done.returncode == 0, done.stderr
        assert len(list(deep.glob("pictures/*/*.png"))) == 1
