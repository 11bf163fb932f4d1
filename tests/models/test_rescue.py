"""Putting jobs back whose workers are gone, and leaving alone those whose workers live."""

from models.records import claims, control, publication
from models.records.boots import mark_ended
from models.records.rescue import Rescued, ended_attempts, rescue, rescue_stalled, running_jobs
from models.records.tables import Job
from models.types.clock import now
from models.types.fate import Tries
from models.types.states import JobState, Outcome

#: Losses after which a job is set aside.
AFTER = 3
TRIES = Tries(retries=0, quarantine_after=AFTER)


def test_rescue_puts_back_what_earlier_boots_under_the_same_lock_left_running(records, write):
    places = [("mini", "mps", "a"), ("mini", "cpu", "b"), ("mini", "mps", "c"), ("mini.local", "mps", "a")]
    boots = [records.boot(host, device, lock_uid=lock) for host, device, lock in places]
    messages = records.messages(records.batch(jobs=6))
    claimed = [records.claim(m, b) for m, b in zip(messages, [*boots, boots[0]], strict=False)]
    newest = records.boot("mini.fritz.box", "mps", lock_uid="a")
    own = records.claim(messages[5], newest)
    assert records.settle(claimed[4], picture="done.png")
    write(publication.mark_published, [message.job for message in messages], now())
    assert write(rescue, newest, TRIES) == Rescued([messages[0].job, messages[3].job], [])
    states = ["queued", "running", "running", "queued", "succeeded", "running"]
    jobs = [records.job(message.job) for message in messages]
    assert [job.state for job in jobs] == states
    assert [job.published_at for job in jobs] == [None] * len(jobs)
    assert [job.boot_id for job in jobs] == [None, boots[1], boots[2], None, boots[0], newest]
    outcomes = ["lost", "running", "running", "lost", "succeeded", "running"]
    assert [attempt.outcome for attempt in records.attempts()] == outcomes
    assert write(rescue, newest, TRIES) == Rescued([], [])
    assert records.settle(own)


def test_all_of_the_newest_call_are_to_blame_and_what_was_made_before_is_not(records, write):
    boot = records.boot()
    messages = records.messages(records.batch(jobs=5))
    write(publication.mark_published, [message.job for message in messages], now())
    before = write(claims.claim, messages[0], boot)
    newest = write(claims.claim, messages[0], boot, None, lambda *_: 4)
    assert (len(before), len(newest)) == (1, 4)
    assert write(rescue, records.boot(), TRIES).queued == [message.job for message in messages]
    assert [records.job(message.job).losses for message in messages] == [0, 1, 1, 1, 1]


def test_boots_of_a_version_without_locks_are_known_by_host_and_device(records, write):
    old = [records.boot(*place, lock_uid=None) for place in (("mini", "mps"), ("mini", "cpu"), ("big", "mps"))]
    messages = records.messages(records.batch(jobs=3))
    for message, boot in zip(messages, old, strict=True):
        records.claim(message, boot)
    assert write(rescue, records.boot("mini", "mps", lock_uid="a"), TRIES).queued == [messages[0].job]


def test_a_job_that_took_its_worker_down_too_often_is_set_aside_until_a_person_says_so(records, write, message):
    for loss in range(1, AFTER + 1):
        assert records.claim(message, records.boot()).attempt_number == loss
        found = write(rescue, records.boot(), TRIES)
        assert found == (Rescued([message.job], []) if loss < AFTER else Rescued([], [message.job]))
    job = records.job(message.job)
    assert (job.state, job.cause, job.losses) == (JobState.QUARANTINED, "quarantined", AFTER)
    assert "`producer retry` tries it again" in job.error
    assert job.finished_at is not None
    assert [(a.number, a.outcome, a.cause) for a in records.attempts()] == [
        (number, Outcome.LOST, "worker_lost") for number in range(1, AFTER + 1)
    ]
    assert records.claim(message, records.boot()) is None
    assert write(control.retry, control.Scope("a job", Job.id == message.job)) == 1
    job = records.job(message.job)
    assert (job.state, job.losses, job.error) == (JobState.QUEUED, 0, None)
    assert records.claim(message, records.boot()).attempt_number == AFTER + 1


def test_a_kill_is_a_loss_of_the_newest_job_of_its_boot_since_the_others_were_made(records, write):
    saved, made, elsewhere = records.messages(records.batch(jobs=3))
    boots = records.boot(lock_uid="a"), records.boot(lock_uid="a")
    for message, boot in ((saved, boots[0]), (made, boots[0]), (elsewhere, boots[1])):
        records.claim(message, boot)
    write(rescue, records.boot(lock_uid="a"), TRIES)
    assert [records.job(message.job).losses for message in (saved, made, elsewhere)] == [0, 1, 1]


def test_a_worker_that_noted_its_end_is_no_loss(records, write, message):
    for _ in range(AFTER + 1):
        boot = records.boot()
        records.claim(message, boot)
        write(mark_ended, boot)
        assert write(rescue, records.boot(), TRIES).queued == [message.job]
    assert records.job(message.job).losses == 0


def test_a_job_without_a_sign_of_life_is_put_back_and_one_that_gave_it_is_left(records, write):
    silent, alive, own = records.messages(records.batch(jobs=3))
    boot, here = records.boot(lock_uid="a"), records.boot(lock_uid="b")
    claimed = [records.claim(silent, boot), records.claim(alive, boot), records.claim(own, here)]
    with records.database.reading() as session:
        seen = [job for job in running_jobs(session) if job.job_id != own.job]
    assert [sign.job_id for sign in seen] == [silent.job, alive.job]
    assert write(claims.renew, [claimed[1]]) == {claimed[1].job_id: False}
    assert write(rescue_stalled, here, seen, TRIES) == Rescued([silent.job], [])
    assert [records.job(m.job).state for m in (silent, alive, own)] == ["queued", "running", "running"]
    assert [attempt.outcome for attempt in records.attempts()] == ["lost", "running", "running"]
    # The silent one wakes up too late.
    assert [records.settle(claim) for claim in claimed] == [False, True, True]


def test_a_job_that_a_boot_runs_without_knowing_it_is_put_back_and_its_worker_is_not_to_blame(records, write, read):
    (message,) = records.messages(records.batch())
    here = records.boot()
    records.claim(message, here)
    assert write(rescue_stalled, here, read(running_jobs), Tries(retries=0, quarantine_after=1)) == Rescued(
        [message.job], []
    )
    assert (records.job(message.job).state, records.job(message.job).losses) == (JobState.QUEUED, 0)


def test_attempts_that_are_over_are_told_from_those_that_run(records, boot, write):
    done, running = (records.claim(message, boot) for message in records.messages(records.batch(jobs=2)))
    records.settle(done)
    asked = {done.attempt_id, running.attempt_id, 10**6}
    assert write(ended_attempts, asked) == {done.attempt_id, 10**6}
