"""`producer run`: everything in one, whatever interrupts it."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from installation import Installation
from PIL import Image
from programs import PATIENCE_S, PRODUCER

from models.records.batches import spec_of
from models.records.tables import Attempt, Batch
from models.tuning import FILE, Candidate, read_trials
from models.types.states import JobState, Outcome

JOBS = 8
SMALL = ("--width", "64", "--height", "64")
ARGUMENTS = ("run", "--prompt", "a red shoe", "--count", str(JOBS), "--seed", "1", "--steps", "16", *SMALL)


def made(nightshift: Installation) -> int:
    return sum(job.state == JobState.SUCCEEDED for job in nightshift.jobs()) if nightshift.data_dir.exists() else 0


def outcomes(nightshift: Installation) -> Counter[str]:
    return Counter(attempt.outcome for attempt in nightshift.rows(Attempt))


def test_it_makes_every_picture_and_leaves_nothing_running(nightshift: Installation):
    done = nightshift.producer(*ARGUMENTS, "--batch", "red")
    assert done.returncode == 0, done.stderr
    assert f"{JOBS} of {JOBS} pictures made" in done.stdout
    folder = nightshift.data_dir / "pictures" / "batch-0001"
    assert f"The pictures are in {folder}" in done.stdout
    assert len(list(folder.glob("*.png"))) == JOBS
    assert nightshift.left_running() == []


def test_it_tunes_unless_it_is_told_not_to(nightshift: Installation):
    asked = ("run", "--prompt", "a red shoe", "--steps", "4", *SMALL, "--new")
    assert nightshift.producer(*asked, "--count", "4", "--no-tune", NIGHTSHIFT_TUNING="true").returncode == 0
    assert {attempt.pictures_a_call for attempt in nightshift.rows(Attempt)} == {1}
    assert not (nightshift.data_dir / FILE).exists()
    assert nightshift.producer(*asked, "--count", "40", NIGHTSHIFT_TUNING="true").returncode == 0
    (trials,) = read_trials(nightshift.data_dir).values()
    assert Candidate(1) in trials.of


def test_ctrl_c_finishes_the_picture_and_the_same_command_goes_on(nightshift: Installation):
    first = nightshift.start_producer(*ARGUMENTS)
    nightshift.wait_until(lambda: made(nightshift) >= 2, "two pictures")
    first.send(signal.SIGINT)
    said = first.wait()
    assert first.status == 1, said
    assert "the same command goes on with it" in said
    assert nightshift.left_running() == []
    assert set(outcomes(nightshift)) == {Outcome.SUCCEEDED}
    assert 2 <= made(nightshift) < JOBS

    again = nightshift.producer(*ARGUMENTS)
    assert again.returncode == 0, again.stderr
    assert "going on with its unfinished jobs" in again.stdout
    assert outcomes(nightshift) == {Outcome.SUCCEEDED: JOBS}
    assert len(nightshift.rows(Batch)) == 1


#: Takes the terminal on its input for its own, as a shell's child has it.
IN_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


def test_a_terminal_that_closes_ends_it_in_order(nightshift: Installation):
    ours, its = pty.openpty()
    command = [sys.executable, "-c", IN_TERMINAL, str(PRODUCER), *map(str, ARGUMENTS)]
    first = subprocess.Popen(
        command,
        stdin=its,
        stdout=its,
        stderr=its,
        env=os.environ | nightshift.environment,
        cwd=nightshift.folder,
        start_new_session=True,
    )
    os.close(its)
    # Nobody else reads what it draws, and it would wait for room.
    os.set_blocking(ours, False)
    try:
        while made(nightshift) < 2:
            assert first.poll() is None
            with suppress(BlockingIOError):
                os.read(ours, 100_000)
            time.sleep(0.02)
        os.close(ours)
        assert first.wait(PATIENCE_S) != 0
    finally:
        first.kill()
        first.wait()
    assert nightshift.left_running() == []
    assert set(outcomes(nightshift)) == {Outcome.SUCCEEDED}
    again = nightshift.producer(*ARGUMENTS)
    assert again.returncode == 0, again.stderr
    assert outcomes(nightshift) == {Outcome.SUCCEEDED: JOBS}


def test_a_run_that_was_killed_is_taken_up_and_its_leftovers_replaced(nightshift: Installation):
    first = nightshift.start_producer(*ARGUMENTS)
    nightshift.wait_until(lambda: made(nightshift) >= 2, "two pictures")
    refused = nightshift.producer(*ARGUMENTS)
    assert refused.returncode == 1
    assert refused.stderr.startswith("producer: another `producer run` is at work")
    first.kill()
    assert len(nightshift.left_running()) == 2

    again = nightshift.producer(*ARGUMENTS)
    assert again.returncode == 0, again.stderr
    assert "stopped a worker that an earlier run left behind" in again.stdout
    assert nightshift.left_running() == []
    assert outcomes(nightshift)[Outcome.SUCCEEDED] == JOBS
    assert made(nightshift) == JOBS


@pytest.mark.smoke
def test_a_finished_batch_is_said_and_made_anew_only_where_that_is_asked(nightshift: Installation):
    command = ("run", "--prompt", "a blue shoe", "--seed", "1")
    assert nightshift.producer(*command).returncode == 0
    again = nightshift.producer(*command)
    assert again.returncode == 0
    assert "prompt-1 asks for the same and is finished (1 succeeded); --new makes another batch" in again.stdout
    assert "starting a worker" not in again.stdout
    assert made(nightshift) == 1
    assert nightshift.producer(*command, "--new").returncode == 0
    assert [batch.name for batch in nightshift.rows(Batch)] == ["prompt-1", "prompt-2"]
    assert made(nightshift) == 2


def test_a_picture_is_made_again_from_itself(nightshift: Installation):
    asked = ("--negative-prompt", "mud,\nrain", "--guidance", "7.123456789", "--scheduler", "DPM++ 2M Karras")
    assert nightshift.producer("run", "--prompt", "a green boot: tall, shiny", *asked).returncode == 0
    (first,) = nightshift.jobs()
    picture = nightshift.data_dir / first.picture
    assert nightshift.producer("run", "--from", picture).returncode == 0
    assert nightshift.producer("run", "--from", picture, "--seed", "5", "--count", "2").returncode == 0
    _, again, *others = nightshift.jobs()
    assert spec_of(again) == spec_of(first)
    assert [(job.prompt, job.seed) for job in others] == [(first.prompt, 5), (first.prompt, 6)]
    with Image.open(picture) as one, Image.open(nightshift.data_dir / again.picture) as other:
        assert one.tobytes() == other.tobytes()


def test_a_worker_that_cannot_start_ends_it_with_its_reason(nightshift: Installation, tmp_path: Path):
    (tmp_path / "model_index.json").write_text("{")
    done = nightshift.producer("run", "--prompt", "a shoe", "--checkpoint", tmp_path)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("producer: ")]
    assert "the worker cannot start: checkpoint" in line
    assert nightshift.left_running() == []
    assert nightshift.rows(Batch) == []


@pytest.mark.parametrize("length", [150])
def test_a_data_folder_longer_than_a_socket_may_be(installation, length: int):
    with installation() as nightshift:
        deep = nightshift.folder / ("x" * length)
        done = nightshift.producer("run", "--prompt", "a shoe", NIGHTSHIFT_DATA_DIR=str(deep))
        assert done.returncode == 0, done.stderr
        assert len(list(deep.glob("pictures/*/*.png"))) == 1
