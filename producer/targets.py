"""As many pictures as a target asks for, of the prompts that there are."""

from dataclasses import replace

from models.seeds import derived_seed
from producer.planned_jobs import PlannedJobs


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
    turn = 0
    while True:
        for job in jobs:
            if len(chosen) == target:
                return chosen
            seed = derived_seed(job.spec.seed, f"turn {turn}") if turn else job.spec.seed
            chosen.append(replace(job, spec=job.spec.model_copy(update={"seed": seed})))
        turn += 1
