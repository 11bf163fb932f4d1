"""What people write into lists by habit is told of, and what only looks like it is not."""

import pytest

from models.records.batches import PlannedJob
from models.types.job import JobSpec
from producer.prompts.habits import habits

SPEC = JobSpec(prompt="x", seed=1, steps=1, guidance=7.5, width=64, height=64, scheduler="DDIM", checkpoint="demo")


def told(*prompts: str, each: int = 1) -> list[str]:
    jobs = [
        PlannedJob(SPEC.model_copy(update={"prompt": prompt, "seed": seed}), line)
        for line, prompt in enumerate(prompts, 1)
        for seed in range(each)
    ]
    return list(habits(jobs))


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("1. red shoe", "begin with a number"),
        ("12) red shoe", "begin with a number"),
        ("- red shoe", "begin with a dash"),
        ("• red shoe", "begin with a dash"),
        ('"red shoe"', "are in quotes"),
        ("“red shoe”", "are in quotes"),
        ("'red shoe'", "are in quotes"),
    ],
)
def test_a_habit_is_told_of_once_with_its_number_and_an_example(prompt, said):
    (sentence,) = told("a shoe", prompt, prompt, each=3)
    assert sentence.startswith(f"2 of the prompts {said}")
    assert repr(prompt) in sentence


@pytest.mark.parametrize(
    "prompt", ["1.5 inch heel", "3 red shoes", "a-line", "-red", 'a "red" shoe', "it's", "(red:1.2)"]
)
def test_what_only_looks_like_one_is_not(prompt):
    assert told(prompt) == []
