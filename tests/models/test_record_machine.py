"""What workers, people and faults do to the record, in any order: a model says what must come of it.

Each step is one that happens: a batch is queued, a message is taken, an attempt ends, a worker is killed or taken for
dead, a person cancels, tries again, accepts. The model is a few dictionaries; after each step the rows must be as it
says, and no picture may be there twice.
"""

from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from record_model import TRIES, BatchModel, BootModel, JobModel, RecordModel
from sqlalchemy import delete

from models.pictures.folder import FolderStore
from models.pictures.names import picture_name
from models.records import attempts, claims, control, publication, rescue
from models.records.attempts import Ended, Recorded, Result
from models.records.batches import Acceptance
from models.records.boots import mark_ended
from models.records.claims import Claim
from models.records.judging import acceptance
from models.records.tables import Attempt, Job
from models.records.tables.columns import Base
from models.types.causes import Cause
from models.types.clock import now
from models.types.errors import QueuePausedError
from models.types.fate import Fate, fate
from models.types.finding import Finding
from models.types.message import JobMessage
from models.types.states import FAULTY, MADE, JobState, Outcome

TARGET = Acceptance({"edge": {}}, target=2, replacements=2)
AGAINST = Finding("edge", 0.2, passed=False, sentence="it is cut off")
#: Devices, and so locks, each with one worker at a time.
LOCKS = ("a", "b")
LATER_S = 1800.0
MOST_BATCHES = 3


class RecordMachine(RuleBasedStateMachine, RecordModel):
    """The record, and what it should be."""

    records: Any
    folder: Path

    def __init__(self) -> None:
        RuleBasedStateMachine.__init__(self)
        RecordModel.__init__(self)
        self.moments = count(1)
        #: In the order in which they were made.
        self.claims: list[Claim] = []
        with self.database.writing() as session:
            for table in reversed(Base.metadata.sorted_tables):
                session.execute(delete(table))
        self.data_dir = self.folder / f"{next(_FOLDERS)}"
        self.store = FolderStore(self.data_dir)

    @property
    def database(self):
        return self.records.database

    def write(self, function, *arguments, **options):
        with self.database.writing() as session:
            return function(session, *arguments, **options)

    # What there is.

    @initialize()
    def begin(self):
        for lock in LOCKS:
            self._start(lock)
        self._enqueue(2, priority=5, has_target=True)

    @precondition(lambda self: len(self.batches) < MOST_BATCHES)
    @rule(jobs=st.integers(1, 3), priority=st.sampled_from([0, 5]), has_target=st.booleans())
    def enqueue(self, jobs, priority, has_target):
        self._enqueue(jobs, priority=priority, has_target=has_target)

    @precondition(lambda self: self._queued())
    @rule(locks=st.lists(st.sampled_from(LOCKS), min_size=1, max_size=3), data=st.data())
    def take_messages(self, locks, data):
        for lock in locks:
            self._take_a_message(lock, data)

    @precondition(lambda self: self.claims)
    @rule(count=st.integers(1, 3), data=st.data())
    def end_attempts(self, count, data):
        how = (
            *(self._make_the_picture, self._make_the_picture, self._fail, self._notice_that_it_is_cancelled),
            *(self._give_the_job_back, self._hang, self._give_a_sign_of_life),
        )
        for _ in range(count):
            held = [claim for claim in self.claims if self._holds(claim)]
            # Now and then one that holds no longer.
            claim = data.draw(st.sampled_from(held * 4 + self.claims[-3:]))
            data.draw(st.sampled_from(how))(claim, data)

    @rule(data=st.data())
    def a_person_acts(self, data):
        how = self._cancel, self._retry, self._decide, self._pause_for_a_while
        data.draw(st.sampled_from(how))(data)

    @rule(data=st.data())
    def something_happens(self, data):
        how = (
            *(self._the_worker_goes_away_and_another_starts, self._the_other_worker_takes_it_for_dead),
            *(self._redis_loses_all, self._time_passes, self._publish, self._publish),
        )
        data.draw(st.sampled_from(how))(data)

    def _start(self, lock: str) -> int:
        boot = self.records.boot(host=lock, lock_uid=lock, pid=next(self.moments))
        self.boots[boot] = BootModel(lock)
        return boot

    def _living(self, lock: str) -> int:
        (boot,) = [number for number, boot in self.boots.items() if boot.lock == lock and not boot.is_gone]
        return boot

    def _enqueue(self, jobs: int, *, priority: int, has_target: bool) -> None:
        name = f"batch-{len(self.batches) + 1}"
        made = self.records.batch(name, jobs, priority=priority, acceptance=TARGET if has_target else None)
        self.batches[made.id] = BatchModel(made.uid, priority, has_target)
        first = self._present_turn(made.id)
        for turn, job in enumerate(self.records.jobs(made), start=first):
            self.jobs[job.id] = JobModel(job.id, made.id, turn)
        self._publish()

    def _publish(self, _data: Any = None) -> None:
        found = self.write(publication.unpublished)
        due = sorted(job.id for job in self._queued() if job.published is None and not job.waits)
        assert [one.job_id for one in found] == due
        # Whoever publishes notes it once the messages are sent; by then a worker may have begun a job.
        begun = [job.id for job in self.jobs.values() if job.state is JobState.RUNNING]
        self.write(publication.mark_published, due + begun, now())
        moment = next(self.moments)
        for job_id in due:
            self.jobs[job_id].published = moment

    def _redis_loses_all(self, _data: Any) -> None:
        lost = [job for job in self._queued() if job.published is not None]
        assert self.write(publication.forget_published) == len(lost)
        for job in lost:
            job.published = None

    def _time_passes(self, _data: Any) -> None:
        waiting = [job for job in self._queued() if job.waits]
        for job in waiting:
            self.records.change(job.id, not_before=now() - timedelta(seconds=1))
            job.waits = False

    # What a worker does.

    def _take_a_message(self, lock: str, data: Any) -> None:
        job = self.jobs[data.draw(st.sampled_from(sorted(self.jobs)))]
        message = JobMessage(job=job.id, batch=self.batches[job.batch].uid)
        boot = self._living(lock)
        most = data.draw(st.sampled_from([1, 1, 2, 3, 8]))
        claimed, first = self.write(claims.claim, message, boot, None, lambda *_: most), self._next(job)
        if first is None:
            assert claimed == []
            return
        call = next(self.moments)
        self._begin(boot, first, call)
        others = self._others(first, most)
        for other in others:
            self._begin(boot, other, call)
        said = [(claim.job_id, claim.attempt_number, claim.failures, claim.losses) for claim in claimed]
        assert said == [(one.id, one.attempts, one.failures, one.losses) for one in (first, *others)]
        self.claims += claimed

    def _give_a_sign_of_life(self, claim: Claim, _data: Any) -> None:
        with_it = [other for other in self.claims if other.boot_id == claim.boot_id]
        said = self.write(claims.renew, with_it)
        held = [other.job_id for other in with_it if self._holds(other)]
        assert said == {job_id: self.jobs[job_id].cancel_requested for job_id in held}

    def _make_the_picture(self, claim: Claim, data: Any) -> None:
        judged = data.draw(st.sampled_from([(), (AGAINST,)])) if self.batches[claim.batch_id].target else ()
        name = picture_name(claim.batch_id, claim.job_id, number=claim.attempt_number, rejected=bool(judged))
        result = Result(Outcome.SUCCEEDED, picture=name, findings=judged)
        if self._holds(claim):
            file = self.store.path(name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"a picture")
        self._settle(claim, result, JobState.REJECTED if judged else JobState.SUCCEEDED)

    def _fail(self, claim: Claim, data: Any) -> None:
        cause = data.draw(st.sampled_from([Cause.NOT_FINITE, Cause.UNEXPECTED, Cause.DRIVER, Cause.DEADLINE]))
        job, result = self.jobs[claim.job_id], Result(Outcome.FAILED, cause=cause)
        if fate(Outcome.FAILED, cause, claim.failures, claim.losses, TRIES) is Fate.SETTLE:
            self._settle(claim, result, JobState.FAILED)
        elif self._end(claim, attempts.postpone, result, LATER_S):
            job.failures += 1
            self._release(job)
            # Not to be published for a while; a job that is cancelled waits for nothing.
            job.waits = job.state is JobState.QUEUED

    def _notice_that_it_is_cancelled(self, claim: Claim, _data: Any) -> None:
        if not self._holds(claim) or self.jobs[claim.job_id].cancel_requested:
            self._settle(claim, Result(Outcome.CANCELLED, cause=Cause.CANCELLED), JobState.CANCELLED)

    def _give_the_job_back(self, claim: Claim, _data: Any) -> None:
        if self._end(claim, attempts.give_back, Result(Outcome.LOST, cause=Cause.STOPPED)):
            self._release(self.jobs[claim.job_id])

    def _hang(self, claim: Claim, _data: Any) -> None:
        set_aside = fate(Outcome.LOST, Cause.HUNG, claim.failures, claim.losses, TRIES) is Fate.QUARANTINE
        if self._end(claim, attempts.lose, Result(Outcome.LOST, cause=Cause.HUNG), set_aside=set_aside):
            job = self.jobs[claim.job_id]
            job.losses += 1
            self._release(job, set_aside=set_aside)

    def _settle(self, claim: Claim, result: Result, state: JobState) -> None:
        if not self._end(claim, lambda *all_, **options: attempts.settle(*all_, **options).recorded, result):
            return
        job = self.jobs[claim.job_id]
        job.state = state
        if state is JobState.REJECTED or result.cause is Cause.NOT_FINITE:
            self._replace(job)

    def _end(self, claim: Claim, function, result: Result, *arguments, **options) -> bool:
        """End an attempt; a second time as well, as one does whose answer was lost. Tell whether it was the claim's."""
        ended = Ended.now()
        said = self.write(function, claim, result, *arguments, ended=ended, **options)
        holds = self._holds(claim)
        assert said is (Recorded.NOW if holds else Recorded.NOT)
        again = self.write(function, claim, result, *arguments, ended=ended, **options)
        assert again is (Recorded.EARLIER if holds else Recorded.NOT)
        if holds:
            self.boots[claim.boot_id].at.remove(claim.job_id)
        return holds

    # What becomes of workers.

    def _the_worker_goes_away_and_another_starts(self, data: Any) -> None:
        """Killed, or told to end: then it has noted that, and no job is to blame."""
        lock, noted = data.draw(st.sampled_from(LOCKS)), data.draw(st.booleans())
        gone = self._living(lock)
        if noted:
            self.write(mark_ended, gone)
        self.boots[gone].is_gone, self.boots[gone].has_noted_end = True, noted
        boot = self._start(lock)
        rescued = self.write(rescue.rescue, boot, TRIES)
        held = [job_id for other in self.boots.values() if other.lock == lock for job_id in other.at]
        assert sorted(rescued.queued + rescued.quarantined) == sorted(self._taken_away(held))

    def _the_other_worker_takes_it_for_dead(self, data: Any) -> None:
        """Another host's worker gives no sign of life; it may be alive, and its ends come too late."""
        silent = data.draw(st.sampled_from(LOCKS))
        boot = self._living(next(lock for lock in LOCKS if lock != silent))
        held = list(self.boots[self._living(silent)].at)
        stalled = [one for one in self.write(rescue.running_jobs) if one.job_id in held]
        rescued = self.write(rescue.rescue_stalled, boot, stalled, TRIES)
        assert sorted(rescued.queued + rescued.quarantined) == sorted(self._taken_away(held))

    # What people do.

    def _pause_for_a_while(self, data: Any) -> None:
        job, boot = self._any_job(data), self._living(LOCKS[0])
        message = JobMessage(job=job.id, batch=self.batches[job.batch].uid)
        assert self.write(control.pause)
        assert not self.write(control.pause)
        with pytest.raises(QueuePausedError):
            self.write(claims.claim, message, boot)
        assert self.write(control.resume)
        assert not self.write(control.resume)

    def _cancel(self, data: Any) -> None:
        chosen, whole_batch = self._any_job(data), data.draw(st.booleans())
        scope = self._scope(chosen, whole_batch)
        jobs = [job for job in self.jobs.values() if (job.batch == chosen.batch if whole_batch else job is chosen)]
        queued = [job for job in jobs if job.state is JobState.QUEUED]
        running = [job for job in jobs if job.state is JobState.RUNNING]
        assert self.write(control.cancel, scope) == (len(queued), len(running))
        for job in queued:
            job.state, job.waits, job.cancel_requested = JobState.CANCELLED, False, False
        for job in running:
            job.cancel_requested = True
        if whole_batch:
            self.batches[chosen.batch].cancelled = True

    def _retry(self, data: Any) -> None:
        chosen, whole_batch, cancelled = self._any_job(data), data.draw(st.booleans()), data.draw(st.booleans())
        scope = self._scope(chosen, whole_batch)
        states = (*FAULTY, JobState.CANCELLED) if cancelled else FAULTY
        jobs = [job for job in self.jobs.values() if (job.batch == chosen.batch if whole_batch else job is chosen)]
        ended = [job for job in jobs if job.state in states]
        again = [job for job in ended if not (self._is_replaced(job) or self._is_needless(job))]
        present, first = self._present_turn(chosen.batch), min((job.turn for job in ended), default=0)
        assert self.write(control.retry, scope, states) == len(again)
        for job in again:
            job.state, job.failures, job.losses = JobState.QUEUED, 0, 0
            job.cancel_requested, job.published, job.waits = False, None, False
            job.turn += present - first
        if whole_batch:
            self.batches[chosen.batch].cancelled = False

    def _decide(self, data: Any) -> None:
        made = [job for job in self.jobs.values() if job.state in MADE]
        if not made:
            return
        job, accepted = data.draw(st.sampled_from(made)), data.draw(st.booleans())
        queued = self.write(acceptance.decide, self.store, [job.id], accepted=accepted)
        before, job.state = job.state, JobState.SUCCEEDED if accepted else JobState.REJECTED
        if job.state is before:
            assert queued == []
        elif accepted:
            for other in self._stand_ins(job):
                if other.state is JobState.QUEUED:
                    other.state, other.waits = JobState.CANCELLED, False
        else:
            assert queued == self._replace(job)

    def _any_job(self, data) -> JobModel:
        return self.jobs[data.draw(st.sampled_from(sorted(self.jobs)))]

    def _scope(self, job: JobModel, whole_batch: bool) -> control.Scope:
        name = f"batch-{sorted(self.batches).index(job.batch) + 1}"
        return self.write(control.batch_scope, name) if whole_batch else self.write(control.job_scope, job.id)

    def _replace(self, job: JobModel) -> list[int]:
        """Have another job stand in for this one, where its batch has it so; return its number."""
        batch = self.batches[job.batch]
        if not batch.target or batch.cancelled or job.cancel_requested or self._is_needless(job):
            return []
        if chain := self._stand_ins(job):
            last = chain[-1]
            if last.state is not JobState.CANCELLED:
                return []
            last.state, last.published, last.waits, last.cancel_requested = JobState.QUEUED, None, False, False
            last.turn = self._present_turn(job.batch)
            return [last.id]
        if job.replacement >= TARGET.replacements:
            return []
        turn = self._present_turn(job.batch)
        with self.database.reading() as session:
            made = session.query(Job).where(Job.replaces == job.id).one()
        self.jobs[made.id] = JobModel(made.id, job.batch, turn, replaces=job.id, replacement=job.replacement + 1)
        return [made.id]

    # What must hold.

    @invariant()
    def the_rows_are_as_the_model_says(self):
        with self.database.reading() as session:
            rows = {job.id: job for job in session.query(Job)}
        assert rows.keys() == self.jobs.keys()
        for job in self.jobs.values():
            row = rows[job.id]
            found = row.state, row.attempts, row.failures, row.losses, row.cancel_requested, row.replaces, row.turn
            assert found == (
                *(job.state, job.attempts, job.failures, job.losses, job.cancel_requested),
                *(job.replaces, job.turn),
            ), job
            assert (row.published_at is not None) == (job.published is not None), job

    @invariant()
    def every_attempt_is_over_but_that_of_a_running_job(self):
        with self.database.reading() as session:
            found = list(session.query(Attempt).order_by(Attempt.number))
        for job in self.jobs.values():
            outcomes = [attempt.outcome for attempt in found if attempt.job_id == job.id]
            assert len(outcomes) == job.attempts
            assert [outcome for outcome in outcomes[:-1] if outcome == Outcome.RUNNING] == []
            assert (outcomes[-1:] == [Outcome.RUNNING]) == (job.state is JobState.RUNNING)
            assert outcomes.count(Outcome.SUCCEEDED) == (job.state in MADE)

    @invariant()
    def every_picture_is_in_its_place_and_no_other_is_there(self):
        with self.database.reading() as session:
            named = {job.picture for job in session.query(Job) if job.picture is not None}
        there = {str(file.relative_to(self.data_dir)) for file in self.data_dir.rglob("*.png")}
        assert there == named
        assert len(named) == len([job for job in self.jobs.values() if job.state in MADE])

    @invariant()
    def nothing_waits_that_stands_in_for_an_accepted_picture(self):
        assert [job for job in self._queued() if self._is_needless(job) and job.attempts == 0] == []


_FOLDERS = count(1)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("orders", [15, pytest.param(30, marks=pytest.mark.slow)])
def test_in_whatever_order_things_happen_the_record_holds(records, tmp_path, orders):
    machine = type("Machine", (RecordMachine,), {"records": records, "folder": tmp_path / "pictures"})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=orders,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        ),
    )
