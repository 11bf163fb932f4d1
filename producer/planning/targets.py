"""As many pictures as a target asks for, of the prompts that there are."""

from dataclasses import replace
from itertools import chain, count, islice

from models.records.batches import PlannedJob
from models.types.seeds import derived_seeds
from producer.planning.planned_jobs import PlannedJobs


def jobs_for(target: int, jobs: PlannedJobs) -> PlannedJobs:
    """Return `target` jobs with the mix of `jobs`: evenly chosen ones, or all again and again with other seeds."""
    if not jobs or len(jobs) == target:
        return jobs
    chosen = PlannedJobs()
    if target < len(jobs):
        for place, job in enumerate(jobs):
            if (place + 1) * target // len(jobs) > place * target // len(jobs):
                chosen.append(job)
        return chosen
    for job in jobs:
        chosen.append(job)
    taken = {_picture(job) for job in jobs}
    turns = chain.from_iterable(((turn, job) for job in jobs) for turn in count(1))
    for turn, job in islice(turns, target - len(jobs)):
        others = (_with_seed(job, seed) for seed in derived_seeds(job.spec.seed, f"turn {turn}"))
        other = next(other for other in others if _picture(other) not in taken)
        taken.add(_picture(other))
        chosen.append(other)
    return chosen


def _picture(job: PlannedJob) -> int:
    """Return a digest of what makes a picture another one; a million prompts would take hundreds of megabytes."""
    return hash((job.spec.prompt, job.spec.seed))


def _with_seed(job: PlannedJob, seed: int) -> PlannedJob:
    return replace(job, spec=job.spec.model_copy(update={"seed": seed}))
