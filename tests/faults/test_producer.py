"""The producer killed or interrupted at any moment: rows are kept, and the same command goes on where it was."""

import fcntl
import json
import os
import pty
import random
import signal
import struct
import termios
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from faults import assert_promise_kept, outcomes

from models.records.batches import CHUNK
from models.records.tables import Batch
from models.types.states import JobState

JOBS = 4
#: Of an enqueue of thousands.
KILLS = 6
RUN = ("run", "--prompt", "a red boot", "--count", JOBS, "--seed", 1)
#: From before the first row to after the last job.
PHASES = ("starting", "loading", "publishing", "step", "settled")


def pid_of(nightshift, role):
    """Return the process that the run has noted for the role, None while there is none."""
    note = nightshift.data_dir / "run" / f"{role}.pid"
    with suppress(OSError, ValueError):
        return json.loads(note.read_text())["pid"]
    return None


def assert_all_made_once(nightshift):
    assert {job.state for job in nightshift.wait_until_finished()} == {JobState.SUCCEEDED}
    assert_promise_kept(nightshift)


def test_an_enqueue_killed_between_commit_and_publish_is_published_by_a_worker(nightshift, faults):
    faults.hold("publishing")
    producer = nightshift.start_producer("enqueue", "--prompt", "a red boot", "--count", JOBS)
    faults.wait_until_held("publishing")
    producer.kill()
    faults.release("publishing")
    assert [(job.state, job.published_at) for job in nightshift.jobs()] == [(JobState.QUEUED, None)] * JOBS
    status = nightshift.producer("status")
    assert f"{JOBS} queued jobs are not on the queue; `producer publish` puts them there" in status.stdout
    nightshift.start_worker()
    assert_all_made_once(nightshift)
    assert outcomes(nightshift) == [["succeeded"]] * JOBS


def test_an_enqueue_killed_there_is_published_by_the_next_one_too(nightshift, faults):
    worker = nightshift.wait_until_ready(nightshift.start_worker(NIGHTSHIFT_HEARTBEAT_S="600"))
    faults.hold("publishing")
    producer = nightshift.start_producer("enqueue", "--prompt", "a red boot", "--count", JOBS)
    faults.wait_until_held("publishing")
    producer.kill()
    faults.release("publishing")
    nightshift.enqueue("--prompt", "a blue boot")
    assert_all_made_once(nightshift)
    assert outcomes(nightshift) == [["succeeded"]] * (JOBS + 1)
    assert worker.status is None


def test_an_enqueue_of_thousands_killed_at_any_moment_leaves_whole_batches_only(installation, new_server):
    server, rng, many = new_server(), random.Random(1), 3_000
    server.start()
    with installation(server.url()) as nightshift:
        begun = time.monotonic()
        nightshift.enqueue("--prompt", "a boot", "--count", many, "--batch", "whole")
        usual = time.monotonic() - begun
        for number in range(KILLS):
            asked = ("enqueue", "--new", "--prompt", "a boot", "--count", many, "--batch", f"cut-{number}")
            producer = nightshift.start_producer(*asked)
            # Wherever that is: while it reads, writes rows, or publishes.
            moment = time.monotonic() + rng.uniform(0.3, 1.1) * usual
            while time.monotonic() < moment and producer.status is None:
                time.sleep(0.001)
            producer.kill()
        uids = {batch.id: batch.uid for batch in nightshift.rows(Batch)}
        jobs = nightshift.jobs()
        assert set(Counter(job.batch_id for job in jobs).values()) == {many}
        assert nightshift.producer("publish").returncode == 0
        expected = {f"{uids[job.batch_id]}-{job.id}" for job in jobs}
        with server.client() as client:
            lists = [key for key in client.keys("nightshift:jobs*") if client.type(key) == b"list"]
            messages = [message for key in lists for message in client.lrange(key, 0, -1)]
        found = Counter(json.loads(message)["headers"]["id"] for message in messages)
    # None is missing; sent again was no more than what a kill found sent and not yet noted, of which the next kill may
    # find the same.
    assert set(found) == expected
    assert len(messages) - len(expected) <= KILLS * CHUNK


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_a_run_that_is_ended_at_any_moment_goes_on_with_the_same_command(nightshift, faults, end):
    for phase in PHASES:
        faults.hold(phase)
        ended = nightshift.start_producer(*RUN)
        faults.wait_until_held(phase)
        if phase == "publishing":
            # The worker came there first, with what waits when it starts.
            faults.release(phase)
            faults.hold(phase)
            faults.wait_until_held(phase)
        ended.send(end)
        if end is signal.SIGINT or phase == "publishing":
            faults.release(phase)
        # Else what was left behind stands still there, and cannot be done with the batch before it is replaced.
        said = ended.wait()
        assert ended.status == (1 if end is signal.SIGINT else -end), said
        # Killed, it leaves its worker and its server behind.
        assert len(nightshift.left_running()) == (0 if end is signal.SIGINT else 2)
        if end is signal.SIGINT:
            assert "Traceback" not in said
            loaded = phase not in ("starting", "loading")
            assert ("ended before the worker was ready; no job was added" in said) != loaded
            assert len(nightshift.jobs()) == (JOBS if loaded else 0)

    last = nightshift.producer(*RUN)
    assert last.returncode == 0, last.stderr
    assert nightshift.left_running() == []
    assert len(nightshift.jobs()) == JOBS
    assert_all_made_once(nightshift)
    assert sum(row.count("succeeded") for row in outcomes(nightshift)) == JOBS


def test_two_interrupts_give_the_running_job_back(nightshift, faults):
    faults.hold("step")
    first = nightshift.start_producer(*RUN)
    faults.wait_until_held("step")
    first.send(signal.SIGINT)
    log = nightshift.data_dir / "run" / "worker.log"
    nightshift.wait_until(lambda: log.read_text().count("SIGTERM") == 1, "the worker to be told")
    first.send(signal.SIGINT)
    nightshift.wait_until(lambda: log.read_text().count("SIGTERM") == 2, "the worker to be told again")
    faults.release("step")
    said = first.wait()
    assert first.status == 1, said
    assert outcomes(nightshift)[0] == ["lost"]
    assert [(job.state, job.losses) for job in nightshift.jobs()] == [(JobState.QUEUED, 0)] * JOBS
    assert nightshift.left_running() == []


def test_a_run_starts_again_what_goes_away_and_its_bar_says_so(nightshift, faults):
    # Before it is ready, as often as that is borne.
    faults.at("starting", "twice kill")
    faults.hold("step")
    terminal, other_end = pty.openpty()
    run = nightshift.start_producer(*RUN, output=Path(os.ttyname(other_end)))
    shown = Shown(terminal)

    def wait_until(condition, what):
        # A terminal that nobody reads holds up who writes to it.
        nightshift.wait_until(lambda: (shown.text(), condition())[1], what)

    wait_until(lambda: faults.held("step"), "the worker to be at a job")
    again = "the worker is started again: SIGKILL ended it"
    assert shown.text().count(again) == 2
    for role in ("worker", "server"):
        wait_until(lambda: faults.held("step"), "the worker to be at a job")
        pid = pid_of(nightshift, role)
        os.kill(pid, signal.SIGKILL)
        faults.release("step")
        wait_until(lambda role=role, pid=pid: pid_of(nightshift, role) not in (None, pid), f"a new {role}")
        if role == "worker":
            faults.hold("step")
    wait_until(lambda: run.status is not None, "the run to end")
    assert run.status == 0
    assert shown.text().count(again) == 3
    assert "the worker ended: SIGKILL ended it; started again in" in shown.text()
    assert "the worker was started again: SIGKILL ended it" in shown.text()
    assert "the embedded server is started again" in shown.text()
    os.close(other_end)
    assert nightshift.left_running() == []
    assert_all_made_once(nightshift)


def test_a_worker_that_goes_away_before_it_is_ready_for_the_third_time_ends_the_run(nightshift, faults):
    faults.at("starting", "always kill no such driver")
    run = nightshift.start_producer(*RUN)
    said = run.wait()
    assert run.status == 1, said
    assert said.count("the worker is started again") == 2
    assert said.splitlines()[-1].startswith("producer: the worker ended with status -9: ")
    assert "no such driver" in said.splitlines()[-1]
    assert nightshift.left_running() == []
    assert nightshift.jobs() == []


class Shown:
    """What has come to a terminal so far, in one line: the bar may be cut by the width of it."""

    def __init__(self, descriptor):
        os.set_blocking(descriptor, False)
        # Wide enough for the whole of what the bar says.
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 250, 0, 0))
        self._descriptor = descriptor
        self._text = ""

    def text(self):
        # A terminal whose other end is closed cannot be read.
        with suppress(BlockingIOError, OSError):
            while more := os.read(self._descriptor, 65536):
                self._text += more.decode(errors="replace")
        return self._text
