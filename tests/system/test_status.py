"""`producer status` shows the workers: what each is at, whether it lives, and nothing of one that has ended."""

import shlex

import pytest
from installation import Installation

#: Steps enough that the worker is at the job while it is looked at.
LONG = ("--steps", 400)


@pytest.fixture
def nightshift(installation):
    with installation(NIGHTSHIFT_HEARTBEAT_S="0.2", NIGHTSHIFT_STALL_S="1") as made:
        yield made


def row_of_worker(nightshift: Installation) -> str:
    """Return the line of the only worker, with single spaces."""
    lines = nightshift.producer("status").stdout.splitlines()
    below = lines[lines.index(next(line for line in lines if line.startswith("Workers"))) + 3 :]
    return " ".join(below[0].split())


def test_a_worker_is_at_a_job_then_silent_and_the_job_is_not_called_done(nightshift: Installation):
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    assert " alive - " in row_of_worker(nightshift)
    batch = nightshift.enqueue("--prompt", "a boot", *LONG)
    nightshift.wait_until_running(batch)
    row = row_of_worker(nightshift)
    assert f" alive job 1 of {batch} " in row
    assert " cpu: " in row
    [known] = nightshift.read_json("status", batch)["workers"]
    assert (known["job_id"], known["batch"], known["device"], known["state"]) == (1, batch, "cpu", "alive")
    worker.kill()
    silent = nightshift.wait_until(
        lambda: [one for one in nightshift.read_json("status", batch)["workers"] if one["state"] == "silent"],
        "the worker to be called silent",
    )
    assert silent[0]["job_id"] == 1
    status = nightshift.read_json("status", batch)
    assert (status["counts"]["running"], status["remaining"]) == (1, 1)
    assert "its last sign of life was" in nightshift.producer("status").stdout


def test_one_that_has_ended_is_not_shown(nightshift: Installation):
    assert nightshift.wait_until_ready(nightshift.start_worker()).stop() == 0
    nightshift.enqueue("--prompt", "a boot")
    shown = nightshift.producer("status").stdout
    assert "Workers" not in shown
    assert "no worker is at work" in shown


def test_where_nothing_is_there_it_says_what_to_type_and_that_makes_a_picture(nightshift: Installation):
    said = nightshift.producer("status").stdout
    assert f"There is no batch yet in {nightshift.data_dir}" in said
    (line,) = [line.strip() for line in said.splitlines() if "--checkpoint demo" in line]
    program, *arguments = shlex.split(line)
    assert program == "producer"
    done = nightshift.producer(*arguments)
    assert done.returncode == 0, done.stderr
    assert [job.state for job in nightshift.jobs()] == ["succeeded"]
