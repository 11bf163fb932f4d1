"""As many jobs as a target asks for, with the mix of the prompts."""

from collections import Counter

import pytest

from models.records.batches import PlannedJob
from models.types import job as seeds
from models.types.job import JobSpec
from producer.planning.planned_jobs import PlannedJobs, jobs_for


def jobs(count):
    made = PlannedJobs()
    for number in range(count):
        usual = {"steps": 12, "guidance": 7.5, "width": 128, "height": 128, "scheduler": "DDIM", "checkpoint": "demo"}
        made.append(PlannedJob(JobSpec(prompt=f"shoe {number}", seed=number, **usual), number + 1, {"n": str(number)}))
    return made


def prompts(made):
    return [job.spec.prompt for job in made]


@pytest.mark.parametrize(("count", "target"), [(5, 5), (5, 12), (1, 7), (12, 5), (2_500, 999), (3, 2_001)])
def test_the_mix_stays_and_no_job_comes_twice(count, target):
    made = jobs_for(target, jobs(count))
    assert len(made) == target
    assert len({(job.spec.prompt, job.spec.seed) for job in made}) == target
    often = Counter(prompts(made))
    assert max(often.values()) - min(often.get(prompt, 0) for prompt in prompts(jobs(count))) <= 1


def test_no_picture_comes_twice_where_seeds_are_few(monkeypatch):
    # 50 seeds for 40 pictures of one prompt are to one another as the 4,294,967,296 that there are to some thousands.
    monkeypatch.setattr(seeds, "DRAWN_SEEDS", 50)
    assert len({job.spec.seed for job in jobs_for(40, jobs(1))}) == 40


def test_the_prompts_come_in_turn_and_first_with_their_own_seeds():
    made = list(jobs_for(7, jobs(3)))
    assert prompts(made) == [f"shoe {number}" for number in (0, 1, 2, 0, 1, 2, 0)]
    assert [job.spec.seed for job in made[:3]] == [0, 1, 2]
    assert [(job.source_line, job.attributes) for job in made[3:5]] == [(1, {"n": "0"}), (2, {"n": "1"})]
    assert [job.spec for job in jobs_for(7, jobs(3))] == [job.spec for job in made]


def test_fewer_are_chosen_evenly():
    assert prompts(jobs_for(3, jobs(9))) == ["shoe 2", "shoe 5", "shoe 8"]


def test_of_no_prompts_nothing_comes():
    assert len(jobs_for(3, jobs(0))) == 0
