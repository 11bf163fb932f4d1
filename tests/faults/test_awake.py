"""The machine is kept awake while there are jobs, and let go after them."""

import json
import os
import signal

import psutil
import pytest
from faults import faulty

#: Notes how it was called and ends with the process that it is called for, as the real one does.
CAFFEINATE = """#!/bin/sh
echo "$$ $*" >> "{calls}"
exec tail --pid="$3" -f /dev/null
"""


@pytest.fixture
def calls(tmp_path):
    return tmp_path / "calls"


@pytest.fixture
def path(tmp_path, calls):
    """A PATH on which a caffeinate stands before all else."""
    program = tmp_path / "bin" / "caffeinate"
    program.parent.mkdir()
    program.write_text(CAFFEINATE.format(calls=calls))
    program.chmod(0o755)
    return f"{program.parent}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture
def both(installation, path):
    with faulty(installation, PATH=path, NIGHTSHIFT_KEEP_AWAKE="true") as made:
        yield made


def called(calls):
    """Return the number of the newest process and what it was called with."""
    number, _, arguments = calls.read_text().splitlines()[-1].partition(" ")
    return int(number), arguments


def is_over(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_it_is_held_while_there_are_jobs_and_let_go_after(nightshift, faults, calls):
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    faults.hold("step")
    batch = nightshift.enqueue("--prompt", "a red boot")
    faults.wait_until_held("step")
    nightshift.wait_until(calls.exists, "the machine to be kept awake")
    pid, arguments = called(calls)
    assert arguments == f"-im -w {worker.pid}"
    faults.release("step")
    nightshift.wait_until_finished(batch)
    nightshift.wait_until(lambda: is_over(pid), "the machine to be let go")
    # And again for the next night, once.
    nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a blue boot", "--steps", 60))
    nightshift.wait_until(lambda: called(calls)[0] != pid and is_over(called(calls)[0]), "the same once more")
    assert len(calls.read_text().splitlines()) == 2


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_it_ends_with_its_worker(nightshift, faults, calls, end):
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    faults.hold("step")
    nightshift.enqueue("--prompt", "a red boot")
    faults.wait_until_held("step")
    nightshift.wait_until(calls.exists, "the machine to be kept awake")
    worker.send(end)
    faults.release("step")
    worker.wait()
    nightshift.wait_until(lambda: is_over(called(calls)[0]), "the machine to be let go")


def test_it_is_not_held_without_jobs_nor_for_a_paused_queue_nor_against_the_setting(nightshift, faults, calls):
    assert nightshift.producer("pause").returncode == 0
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    nightshift.enqueue("--prompt", "a red boot")
    nightshift.wait_until(lambda: "the queue is paused" in worker.log, "the worker to see the pause")
    assert worker.stop() == 0
    assert nightshift.producer("resume").returncode == 0
    nightshift.start_worker(NIGHTSHIFT_KEEP_AWAKE="false")
    nightshift.wait_until_finished()
    assert not calls.exists()


def test_a_program_that_refuses_costs_one_line(nightshift, path, calls):
    calls.parent.joinpath("bin", "caffeinate").write_text("#!/bin/sh\nexit 3\n")
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a red boot", "--count", 2, "--steps", 60))
    assert worker.log.count("the machine may fall asleep: caffeinate ended with status 3") == 1


def test_doctor_says_by_what(nightshift, path):
    found = {check["name"]: check["found"] for check in doctor(nightshift)}
    assert found["awake"] == f"while there are jobs, by {path.split(os.pathsep)[0]}/caffeinate"
    found = {check["name"]: check["found"] for check in doctor(nightshift, NIGHTSHIFT_KEEP_AWAKE="false")}
    assert "NIGHTSHIFT_KEEP_AWAKE=false" in found["awake"]


def doctor(nightshift, **variables):
    return json.loads(nightshift.producer("doctor", "--json", **variables).stdout)
