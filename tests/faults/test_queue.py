"""Faults around a job: foreign messages, killed workers and servers, cancelling, a full disk."""

import base64
import json

import pytest
from faults import faulty, messages_in
from sqlalchemy import select

from models.records.tables import Attempt, Batch, Boot
from models.settings import Settings
from models.types.message import DEFAULT_QUEUE, VERSION, JobMessage
from models.types.states import JobState
from worker.queue.app import KEY_PREFIX, TASK, make_app


@pytest.fixture(scope="module")
def both(installation, own_server):
    with faulty(installation, own_server.url()) as made:
        yield made


@pytest.fixture(scope="module")
def nightshift(both):
    return both[0]


@pytest.fixture
def worker(nightshift):
    """A worker with nothing to do: the last test's, or a new one where that ended its own."""
    alive = [w for w in nightshift.workers if w.status is None]
    worker = alive[0] if alive else nightshift.start_worker()
    nightshift.wait_until_ready(worker)
    nightshift.wait_until_finished()
    return worker


@pytest.fixture
def app(own_server):
    with make_app(Settings(_env_file=None, broker_url=own_server.url())) as app:
        yield app


def attempts_of(nightshift, job):
    with nightshift.database.reading() as session:
        return list(session.scalars(select(Attempt).where(Attempt.job_id == job.id).order_by(Attempt.number)))


def outcomes(nightshift, jobs):
    return [[row.outcome for row in attempts_of(nightshift, job)] for job in jobs]


def complaint(nightshift, worker, seen):
    """Return the one line of warning or worse that the worker says after its first `seen` lines."""

    def said():
        return [line for line in worker.lines[seen:] if " INFO " not in line]

    nightshift.wait_until(said, "the worker to complain")
    (line,) = said()
    return line


def assert_made_once(nightshift, jobs):
    """Every job has its picture and one attempt that made it."""
    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    assert [rows.count("succeeded") for rows in outcomes(nightshift, jobs)] == [1] * len(jobs)
    assert all((nightshift.data_dir / job.picture).is_file() for job in jobs)


JUNK = {
    "not JSON": b"hello",
    "not text": b"\xff\x00\xfe",
    "a JSON array": b"[1, 2]",
    "a JSON number": b"7",
    "a JSON null": b"null",
    "an object that is no message": b"{}",
    "a message without properties": json.dumps({"body": "x", "headers": {}}).encode(),
}


@pytest.mark.parametrize("content", JUNK.values(), ids=JUNK)
def test_what_is_no_message_is_dropped_with_a_line(nightshift, own_server, worker, content):
    seen = len(worker.lines)
    with own_server.client() as client:
        client.lpush(f"{KEY_PREFIX}{DEFAULT_QUEUE}", content)
    assert "message dropped, it is no job of ours" in complaint(nightshift, worker, seen)


def changed(payload, **values):
    return {**payload, **values}


FOREIGN = {
    "no version": (lambda payload: [changed(payload, version=2**70)], "version: Input should be less than"),
    "no batch": (lambda payload: [changed(payload, batch="none")], "batch: "),
    "no number": (lambda payload: [changed(payload, job="first")], "job: "),
    "no payload": (lambda payload: [], "message: "),
    "text for a payload": (lambda payload: ["../../x"], "message: "),
    "two payloads": (lambda payload: [payload, payload], "message: "),
    "another database's job": (lambda payload: [changed(payload, batch="0" * 32)], "job 1: message dropped"),
    "a job that nobody has": (lambda payload: [changed(payload, job=10**9)], "job 1000000000: message dropped"),
    "a job that is done": (lambda payload: [payload], "job 1: message dropped"),
}


@pytest.fixture
def payload(nightshift, worker):
    """What the message of a job said that is done."""
    if not nightshift.jobs():
        nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a shoe"))
    job = nightshift.jobs()[0]
    batch = nightshift.rows(Batch)[0]
    return JobMessage(job=job.id, batch=batch.uid).model_dump()


def test_a_message_of_version_1_that_still_waits_is_understood(nightshift, app, own_server, worker):
    assert worker.stop() == 0
    batch = nightshift.enqueue("--prompt", "a shoe")
    (job,) = nightshift.jobs(batch)
    uid = next(row.uid for row in nightshift.rows(Batch) if row.name == batch)
    with own_server.client() as client:
        client.delete(*client.keys(f"{KEY_PREFIX}{DEFAULT_QUEUE}*"))
    spec = {"prompt": "what the row says goes", "seed": 1}
    app.send_task(TASK, args=[{"version": 1, "job": job.id, "batch": uid, "spec": spec}], priority=5)
    # It looks after its queue so seldom that nothing but this message can bring it the job.
    worker = nightshift.start_worker(NIGHTSHIFT_HEARTBEAT_S="60")
    assert_made_once(nightshift, nightshift.wait_until_finished(batch))
    assert worker.stop() == 0


def test_a_message_of_a_newer_version_goes_back_and_those_behind_it_are_made(nightshift, app, own_server, worker):
    seen = len(worker.lines)
    newer = {"version": VERSION + 1, "jobs": ["by another name"]}
    # It would be taken before the others each time, if it kept its priority.
    app.send_task(TASK, args=[newer], priority=0)
    assert "upgrade Nightshift here" in complaint(nightshift, worker, seen)
    assert_made_once(nightshift, nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a shoe", "--count", 3)))
    assert worker.stop() == 0
    with own_server.client() as client:
        waiting = [text for key in client.keys(f"{KEY_PREFIX}{DEFAULT_QUEUE}*") for text in client.lrange(key, 0, -1)]
        carried = [json.loads(base64.b64decode(json.loads(text)["body"]))[0] for text in waiting]
        # Twice where the worker ended between putting it back and acknowledging it.
        assert carried in ([[newer]], [[newer]] * 2)
        client.delete(*client.keys(f"{KEY_PREFIX}{DEFAULT_QUEUE}*"))
    assert len([line for line in worker.lines[seen:] if "upgrade Nightshift" in line]) == 1


@pytest.mark.parametrize(("change", "says"), FOREIGN.values(), ids=FOREIGN)
def test_a_message_that_names_no_job_of_ours_is_dropped_with_a_line(nightshift, app, worker, payload, change, says):
    seen, attempts = len(worker.lines), len(nightshift.rows(Attempt))
    app.send_task(TASK, args=change(payload), priority=5)
    line = complaint(nightshift, worker, seen)
    assert "message dropped" in line
    assert says in line
    assert len(nightshift.rows(Attempt)) == attempts


def test_a_task_that_we_do_not_have_is_dropped_with_a_line(nightshift, app, worker):
    seen = len(worker.lines)
    app.send_task("somebody.elses", args=[1], priority=5)
    line = complaint(nightshift, worker, seen)
    assert "somebody.elses" in line


def test_after_all_that_nothing_waits_in_redis_and_the_next_job_is_made(nightshift, own_server, worker):
    assert_made_once(nightshift, nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a shoe")))

    def waiting():
        with own_server.client() as client:
            # Bindings and their heartbeat stay; lists are queues, and unacked messages stand under two keys.
            keys = [key for key in client.scan_iter() if b"_kombu" not in key]
            return [key for key in keys if client.type(key) == b"list" or b"unacked" in key]

    nightshift.wait_until(lambda: waiting() == [], "the queue to be empty")


def test_a_worker_killed_in_the_middle_of_a_job_loses_only_that_attempt(nightshift, faults, worker):
    faults.hold("step")
    batch = nightshift.enqueue("--prompt", "a shoe", "--count", 2)
    faults.wait_until_held("step")
    worker.kill()
    faults.release("step")
    job = nightshift.jobs(batch)[0]
    # Recorded while no Redis answers there: the next start publishes it with the job that it puts back.
    nowhere = nightshift.producer("enqueue", "--prompt", "x", NIGHTSHIFT_BROKER_URL="redis://127.0.0.1:1/0")
    assert nowhere.returncode == 1
    assert {row.state for row in nightshift.jobs(batch)} == {JobState.RUNNING, JobState.QUEUED}

    second = nightshift.start_worker()
    assert_made_once(nightshift, nightshift.wait_until_finished())
    assert outcomes(nightshift, nightshift.jobs(batch)) == [["lost", "succeeded"], ["succeeded"]]
    lost, made = attempts_of(nightshift, job)
    assert (lost.number, made.number) == (1, 2)
    assert (lost.cause, lost.total_s) == ("worker_lost", None)
    assert lost.boot_id != made.boot_id
    killed, alive = nightshift.rows(Boot)[-2:]
    assert (killed.id, alive.id) == (lost.boot_id, made.boot_id)
    assert killed.ended_at is None
    assert "put back 1 jobs that an earlier worker left running" in second.log
    assert "published 2 jobs that were not on the queue" in second.log
    assert nightshift.read_json("report", batch)["lost_attempts"] == 1


def test_a_redis_that_forgot_everything_costs_no_job_and_doubles_none(nightshift, faults, own_server, worker):
    faults.hold("step")
    batch = nightshift.enqueue("--prompt", "a shoe", "--count", 3)
    faults.wait_until_held("step")
    own_server.kill()
    own_server.start()
    published = [nightshift.producer("publish", batch) for _ in range(2)]
    assert [done.returncode for done in published] == [0, 0]
    assert published[0].stdout == "2 jobs published\n"
    faults.release("step")

    # Its message is behind both of each job, but it may be made before the last of them.
    nightshift.enqueue("--prompt", "a boot")
    nightshift.wait_until_finished()
    nightshift.wait_until(lambda: messages_in(own_server) == 0, "each message to be used or dropped")
    jobs = nightshift.jobs(batch)
    assert_made_once(nightshift, jobs)
    assert outcomes(nightshift, jobs) == [["succeeded"]] * 3
    assert worker.status is None
    assert "Traceback" not in worker.log


def test_cancelling_stops_the_running_job_at_a_step_and_later_jobs_run(nightshift, worker):
    batch = nightshift.enqueue("--prompt", "a shoe", "--count", 2, "--steps", 500)
    later = nightshift.enqueue("--prompt", "a boot")
    job = nightshift.wait_until_running(batch)
    done = nightshift.producer("cancel", batch)
    assert "1 queued jobs cancelled, 1 running ones" in done.stdout
    jobs = nightshift.wait_until_finished(batch)
    assert {job.state for job in jobs} == {JobState.CANCELLED}
    assert outcomes(nightshift, jobs) == [["cancelled"], []]
    (attempt,) = attempts_of(nightshift, job)
    # It never came to the decoding.
    assert (attempt.cause, attempt.decode_s, jobs[0].picture) == ("cancelled", None, None)
    assert attempt.finished_at is not None
    assert_made_once(nightshift, nightshift.wait_until_finished(later))
    folder = nightshift.data_dir / "pictures" / f"batch-{jobs[0].batch_id:04d}"
    assert not list(folder.glob("*"))
