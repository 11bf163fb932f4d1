"""What the record should say of batches, jobs and boots, as a few dictionaries, whatever has happened to them."""

from dataclasses import dataclass, field

from models.records.claims import Claim
from models.types.causes import Cause
from models.types.fate import Fate, Tries, fate
from models.types.states import JobState, Outcome

TRIES = Tries(retries=2, quarantine_after=2)


@dataclass
class BatchModel:
    uid: str
    priority: int
    target: bool
    cancelled: bool = False


@dataclass
class JobModel:
    id: int
    batch: int
    turn: int
    state: JobState = JobState.QUEUED
    attempts: int = 0
    failures: int = 0
    losses: int = 0
    cancel_requested: bool = False
    #: When its message was sent, as a place in the order of such moments.
    published: int | None = None
    #: Whether it waits for its next try.
    waits: bool = False
    #: The call that it was claimed for last, by its number.
    call: int = 0
    replaces: int | None = None
    replacement: int = 0


@dataclass
class BootModel:
    lock: str
    is_gone: bool = False
    has_noted_end: bool = False
    #: Jobs that it works on, in the order in which it claimed them.
    at: list[int] = field(default_factory=list)


class RecordModel:
    """Batches, jobs and boots by their numbers, and what follows from them."""

    def __init__(self) -> None:
        self.batches: dict[int, BatchModel] = {}
        self.jobs: dict[int, JobModel] = {}
        self.boots: dict[int, BootModel] = {}

    def _queued(self) -> list[JobModel]:
        return [job for job in self.jobs.values() if job.state is JobState.QUEUED]

    def _present_turn(self, batch: int) -> int:
        """Return the turn that it is among the jobs of the batch's priority."""
        priority = self.batches[batch].priority
        waiting = [job for job in self._queued() if job.published is not None]
        return min((job.turn for job in waiting if self.batches[job.batch].priority == priority), default=0)

    def _next(self, named: JobModel) -> JobModel | None:
        published = [job for job in self._queued() if job.published is not None]
        if published:
            return min(published, key=lambda job: (self.batches[job.batch].priority, job.turn, job.published, job.id))
        due = [job for job in self._queued() if not job.waits]
        return named if named in due else min(due, key=lambda job: job.id, default=None)

    def _others(self, first: JobModel, most: int) -> list[JobModel]:
        """Return the jobs that are claimed together with the first, which is claimed already."""
        if first.failures or first.losses:
            return []
        fit = [
            job
            for job in self._queued()
            if job.published is not None and not (job.failures or job.losses)
            if self.batches[job.batch].priority == self.batches[first.batch].priority
        ]
        fit.sort(key=lambda job: (job.turn, job.published, job.id))
        count = next(count for count in (8, 4, 2, 1) if count <= min(most, len(fit) + 1))
        return fit[: count - 1]

    def _begin(self, boot: int, job: JobModel, call: int) -> None:
        job.state, job.published, job.waits = JobState.RUNNING, None, False
        job.cancel_requested, job.call = False, call
        job.attempts += 1
        self.boots[boot].at.append(job.id)

    def _release(self, job: JobModel, *, set_aside: bool = False) -> None:
        # Ten others go before it.
        job.turn = self._present_turn(job.batch) + 10
        job.state = JobState.QUARANTINED if set_aside else JobState.QUEUED
        if job.cancel_requested:
            job.state = JobState.CANCELLED
        job.cancel_requested, job.published, job.waits = False, None, False

    def _replaced_by(self, job: JobModel) -> JobModel | None:
        return next((other for other in self.jobs.values() if other.replaces == job.id), None)

    def _stand_ins(self, job: JobModel) -> list[JobModel]:
        chain: list[JobModel] = []
        while (following := self._replaced_by(chain[-1] if chain else job)) is not None:
            chain.append(following)
        return chain

    def _is_replaced(self, job: JobModel) -> bool:
        other = self._replaced_by(job)
        return other is not None and other.state is not JobState.CANCELLED

    def _is_needless(self, job: JobModel) -> bool:
        before = job
        while before.replaces is not None:
            before = self.jobs[before.replaces]
            if before.state is JobState.SUCCEEDED:
                return True
        return False

    def _taken_away(self, held: list[int]) -> list[int]:
        """Put back what these jobs' workers held; return those that are not cancelled by that."""
        left = []
        for boot in self.boots.values():
            mine = [job_id for job_id in boot.at if job_id in held]
            newest = self.jobs[mine[-1]].call if mine else 0
            for job_id in mine:
                job = self.jobs[job_id]
                # Only the newest call can be to blame: the others were made, and waited to be settled.
                to_blame = job.call == newest and not boot.has_noted_end
                cause = Cause.WORKER_LOST if to_blame else Cause.STOPPED
                becomes = fate(Outcome.LOST, cause, job.failures, job.losses, TRIES)
                job.losses += becomes is not Fate.GIVE_BACK
                self._release(job, set_aside=becomes is Fate.QUARANTINE)
                boot.at.remove(job_id)
                if job.state is not JobState.CANCELLED:
                    left.append(job_id)
        return left

    def _holds(self, claim: Claim) -> bool:
        job = self.jobs[claim.job_id]
        return claim.job_id in self.boots[claim.boot_id].at and claim.attempt_number == job.attempts
