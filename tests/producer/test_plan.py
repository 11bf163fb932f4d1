import json
import shutil
from pathlib import Path

import pytest

from models.checkpoints import DEMO_FOLDER, STABLE_DIFFUSION_1_5
from models.types.errors import BadInputError
from models.types.job import MAX_SEED
from models.types.schedulers import SCHEDULERS
from producer.planning.plan import plan_jobs
from producer.prompts.problems import Problems
from producer.prompts.request import Request

THERE_ARE = f"there are {', '.join(SCHEDULERS)}"


def plan(*values, flags=None, checkpoint="demo"):
    requests = [Request(line, {"prompt": "a cat", **value}) for line, value in enumerate(values, 1)]
    return plan_jobs(requests, flags or {}, checkpoint, "p.csv")


def specs(*values, **options):
    return [job.spec for job in plan(*values, **options).jobs]


def problems_of(*values, **options):
    with pytest.raises(BadInputError) as caught:
        plan(*values, **options)
    return caught.value.problems


@pytest.fixture
def checkpoint(tmp_path):
    """A folder with defaults of its own."""
    (tmp_path / "model_index.json").write_text("{}")
    (tmp_path / "nightshift.json").write_text(json.dumps({"width": 256, "steps": 4, "scheduler": "lcm"}))
    return str(tmp_path)


def test_kinds_are_counted_and_checkpoints_come_in_the_order_of_the_jobs(tmp_path):
    other = str(shutil.copytree(DEMO_FOLDER, tmp_path / "other"))
    made = plan({"steps": 3}, {"checkpoint": other, "count": 2}, {"steps": 3, "prompt": "a dog", "count": 4})
    assert {(kind.checkpoint, kind.steps): count for kind, count in made.kinds.items()} == {
        ("demo", 3): 5,
        (other, 12): 2,
    }
    assert made.checkpoints == ["demo", other]


def test_values_that_nobody_names_are_the_checkpoints(checkpoint):
    demo, own, hub = specs({}, {"checkpoint": checkpoint}, {"checkpoint": "runwayml/stable-diffusion-v1-5"})
    assert (demo.checkpoint, demo.width, demo.height, demo.steps, demo.scheduler) == ("demo", 128, 128, 12, "DPM++ 2M")
    assert (own.checkpoint, own.width, own.height, own.steps, own.scheduler) == (checkpoint, 256, 512, 4, "LCM")
    assert (hub.checkpoint, hub.width, hub.guidance) == (STABLE_DIFFUSION_1_5, 512, 7.5)
    assert demo.negative_prompt == ""


def test_the_default_checkpoint_gives_way_to_the_flag_and_that_to_the_line(checkpoint):
    flags = {"checkpoint": checkpoint}
    assert [spec.checkpoint for spec in specs({}, {"checkpoint": "demo"}, flags=flags)] == [checkpoint, "demo"]


# Of each value: the line's, the flag's, and how the line's comes out.
VALUES = {
    "negative_prompt": ("blurred", "dark", "blurred"),
    "seed": ("7", 8, 7),
    "steps": ("30", 31, 30),
    "guidance": ("2.5", 3.5, 2.5),
    "width": ("64", 2048, 64),
    "height": ("2048", 64, 2048),
    "scheduler": (" euler   A", "DDIM", "Euler a"),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_line_wins_over_a_flag_and_a_flag_over_the_default(name):
    line, flag, expected = VALUES[name]
    own, given = specs({name: line}, {}, flags={name: flag})
    assert (getattr(own, name), getattr(given, name)) == (expected, flag)


def test_an_empty_negative_prompt_of_a_line_wins_over_the_flag():
    assert specs({"negative_prompt": ""}, flags={"negative_prompt": "dark"})[0].negative_prompt == ""


def test_pictures_of_a_prompt_stand_in_a_row_with_seeds_that_follow():
    jobs = plan({"seed": 5, "count": "3"}, {}, {"seed": 1, "count": 1}, flags={"seed": 40, "count": 2}).jobs
    assert [(job.source_line, job.spec.seed) for job in jobs] == [(1, 5), (1, 6), (1, 7), (2, 40), (2, 41), (3, 1)]


def test_drawn_seeds_follow_each_other_and_differ_between_requests():
    first, second, other = (spec.seed for spec in specs({"count": 2}, {}))
    assert second == first + 1
    assert other not in (first, second)


def test_no_drawn_seed_comes_twice_however_often_a_prompt_is_asked_for(monkeypatch):
    # 100 of 110 seeds: drawn one by one, two would be the same.
    monkeypatch.setattr("producer.planning.plan.DRAWN_SEEDS", 110)
    assert len({spec.seed for spec in specs(*({"count": number % 3 + 1} for number in range(50)))}) == 99


def test_the_last_seed_and_the_largest_count_are_within_reach():
    jobs = list(plan({"seed": MAX_SEED - 9_999, "count": 10_000}).jobs)
    assert (len(jobs), jobs[-1].spec.seed) == (10_000, MAX_SEED)


def test_drawn_seeds_leave_the_fingerprint_as_it_is():
    assert plan({"count": 2}, {}).fingerprint == plan({"count": 2}, {}).fingerprint


CHANGES = [
    {"seed": 1}, {"prompt": "a dog"}, {"negative_prompt": "dark"}, {"steps": 13}, {"guidance": 7}, {"width": 64},
    {"height": 64}, {"scheduler": "LCM"}, {"checkpoint": "an/other"}, {"count": 2},
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_whatever_is_asked_for_changes_the_fingerprint(change):
    assert plan(change).fingerprint != plan({}).fingerprint


def test_the_fingerprint_is_of_values_wherever_they_stand():
    assert plan({"seed": "3", "steps": 20}).fingerprint == plan({}, flags={"seed": 3, "steps": 20}).fingerprint


def test_prompts_of_the_command_line_have_no_source_line():
    jobs = plan_jobs([Request(None, {"prompt": "a cat"})], {}, "demo", "--prompt").jobs
    assert [(job.source_line, job.spec.prompt) for job in jobs] == [(None, "a cat")]


NO_WHOLE = "is not a whole number"
SEEDS = f"is not between 0 and {MAX_SEED}"
BAD_LINES = [
    ({"seed": "abc"}, f"seed: 'abc' {NO_WHOLE}"),
    ({"seed": ""}, f"seed: '' {NO_WHOLE}"),
    ({"seed": "-1"}, f"seed: -1 {SEEDS}"),
    ({"seed": 2**63}, f"seed: 9223372036854775808 {SEEDS}"),
    ({"seed": str(2**63)}, f"seed: 9223372036854775808 {SEEDS}"),
    ({"seed": "9" * 5_000}, f"seed: {'9' * 59}… {SEEDS}"),
    ({"seed": True}, f"seed: True {NO_WHOLE}"),
    ({"seed": 5.0}, f"seed: 5.0 {NO_WHOLE}"),
    ({"steps": "0"}, "steps: 0 is not between 1 and 500"),
    ({"steps": 501}, "steps: 501 is not between 1 and 500"),
    ({"steps": 1.5}, f"steps: 1.5 {NO_WHOLE}"),
    ({"steps": "1.5"}, f"steps: '1.5' {NO_WHOLE}"),
    ({"steps": float("nan")}, f"steps: nan {NO_WHOLE}"),
    ({"guidance": "7,5"}, "guidance: '7,5' is not a number"),
    ({"guidance": False}, "guidance: False is not a number"),
    ({"guidance": "nan"}, "guidance: nan is not between 0 and 100"),
    ({"guidance": float("inf")}, "guidance: inf is not between 0 and 100"),
    ({"guidance": "1e999"}, "guidance: 1e999 is not between 0 and 100"),
    ({"guidance": -0.5}, "guidance: -0.5 is not between 0 and 100"),
    ({"width": 13}, "width: 13 is not between 64 and 2048"),
    ({"width": "513"}, "width: 513 is not a multiple of 8; 512 is the nearest"),
    ({"height": 2049}, "height: 2049 is not between 64 and 2048"),
    ({"height": "wide\x1b[2J"}, rf"height: 'wide\x1b[2J' {NO_WHOLE}"),
    ({"scheduler": "Eulr"}, f"scheduler: no scheduler is called 'Eulr'; {THERE_ARE}"),
    ({"scheduler": "x" * 1_000_000}, f"scheduler: no scheduler is called '{'x' * 59}…; {THERE_ARE}"),
    ({"scheduler": 1}, "scheduler: 1 is not text"),
    ({"checkpoint": ""}, "checkpoint: is empty"),
    ({"checkpoint": 5}, "checkpoint: 5 is not text"),
    ({"checkpoint": "a\0b"}, "checkpoint: holds a control character, which no name of a checkpoint may"),
    ({"checkpoint": "a\x1b]0;b"}, "checkpoint: holds a control character, which no name of a checkpoint may"),
    ({"checkpoint": "x" * 1_025}, "checkpoint: is 1,025 characters long, the most is 1,024; shorten it"),
    ({"checkpoint": "x" * 300}, f"checkpoint: '{'x' * 59}… cannot be looked up: File name too long"),
    (
        {"checkpoint": "~nobody-here/sd"},
        "checkpoint: '~nobody-here/sd' starts with a user whom this machine does not know",
    ),
    ({"prompt": 5}, "prompt: 5 is not text"),
    ({"prompt": ["a"]}, "prompt: is a list or an object; write text or a number"),
    ({"seed": (("a", 1),)}, "seed: is a list or an object; write text or a number"),
    ({"prompt": "a\0b"}, "prompt: holds a NUL character, which no database text and no PNG text may"),
    ({"prompt": "a\ud800"}, r"prompt: 'a\ud800' holds half of a surrogate pair, which is no character"),
    ({"negative_prompt": "x" * 10_001}, "negative_prompt: is 10,001 characters long, the most is 10,000; shorten it"),
    ({"count": 0}, "count: 0 is not between 1 and 10000"),
    ({"count": "10001"}, "count: 10001 is not between 1 and 10000"),
    ({"count": True}, f"count: True {NO_WHOLE}"),
    ({"count": "many"}, f"count: 'many' {NO_WHOLE}"),
    ({"seed": MAX_SEED, "count": 2}, f"seed: 2 seeds from {MAX_SEED} on run past the largest, {MAX_SEED}"),
]


@pytest.mark.parametrize(("values", "problem"), BAD_LINES, ids=lambda value: ascii(value)[:40])
def test_a_bad_value_of_a_line_is_named_with_its_line(values, problem):
    assert problems_of({}, values) == [f"p.csv, line 2: {problem}"]


BAD_FLAGS = [
    (
        {"negative_prompt": "a\0"},
        "--negative-prompt: holds a NUL character, which no database text and no PNG text may",
    ),
    ({"seed": -1}, f"--seed: -1 {SEEDS}"),
    ({"seed": 2**63}, f"--seed: 9223372036854775808 {SEEDS}"),
    ({"seed": MAX_SEED, "count": 2}, f"--seed: 2 seeds from {MAX_SEED} on run past the largest, {MAX_SEED}"),
    ({"steps": 0}, "--steps: 0 is not between 1 and 500"),
    ({"guidance": float("nan")}, "--guidance: nan is not between 0 and 100"),
    ({"width": 100}, "--width: 100 is not a multiple of 8; 96 is the nearest"),
    ({"height": 0}, "--height: 0 is not between 64 and 2048"),
    ({"scheduler": ""}, f"--scheduler: no scheduler is called ''; {THERE_ARE}"),
    ({"checkpoint": " "}, "--checkpoint: is empty"),
    ({"count": 0}, "--count: 0 is not between 1 and 10000"),
]


@pytest.mark.parametrize(("flags", "problem"), BAD_FLAGS, ids=lambda value: ascii(value)[:40])
def test_a_bad_flag_is_named_once(flags, problem):
    assert problems_of({}, {}, {}, flags=flags) == [problem]


def test_a_bad_flag_is_named_though_every_line_overrides_it():
    assert problems_of({"steps": 5}, flags={"steps": 0}) == ["--steps: 0 is not between 1 and 500"]


def test_a_count_that_runs_past_the_last_seed_is_blamed_on_the_line_that_names_it():
    assert problems_of({}, {"count": 3}, flags={"seed": MAX_SEED}) == [
        f"p.csv, line 2: count: 3 seeds from {MAX_SEED} on run past the largest, {MAX_SEED}"
    ]


def test_problems_of_flags_and_lines_come_together():
    assert problems_of({"seed": "x", "width": 1}, {"count": 0}, {}, flags={"steps": 0}) == [
        "--steps: 0 is not between 1 and 500",
        f"p.csv, line 1: seed: 'x' {NO_WHOLE}",
        "p.csv, line 1: width: 1 is not between 64 and 2048",
        "p.csv, line 2: count: 0 is not between 1 and 10000",
    ]


def test_problems_of_those_who_read_come_with_those_of_the_values_and_no_job_is_planned():
    problems = Problems()

    def requests():
        yield Request(1, {"steps": 0})
        problems.add("p.csv, line 2", "is broken")
        yield Request(3, {"prompt": "a", "width": 1})

    with pytest.raises(BadInputError) as caught:
        plan_jobs(requests(), {}, "demo", "p.csv", problems=problems)
    assert caught.value.problems == [
        "p.csv, line 1: steps: 0 is not between 1 and 500",
        "p.csv, line 2: is broken",
        "p.csv, line 3: width: 1 is not between 64 and 2048",
    ]


@pytest.mark.parametrize(
    ("prompt", "problem"),
    [
        (" ", "is empty; write what the picture shows"),
        ("x" * 10_001, "is 10,001 characters long, the most is 10,000; shorten it"),
    ],
    ids=["empty", "long"],
)
def test_a_bad_prompt_of_the_command_line_is_named_by_its_flag(prompt, problem):
    with pytest.raises(BadInputError) as caught:
        plan_jobs([Request(None, {"prompt": prompt})], {}, "demo", "--prompt")
    assert caught.value.problems == [f"--prompt: {problem}"]


def test_a_bad_default_is_named_by_its_file_once(checkpoint):
    Path(checkpoint, "nightshift.json").write_text('{"steps": 0}')
    reason = "steps: Input should be greater than or equal to 1"
    assert problems_of({}, {}, checkpoint=checkpoint) == [
        f"NIGHTSHIFT_CHECKPOINT: {checkpoint}/nightshift.json cannot be used: {reason}"
    ]


def test_defaults_that_cannot_be_read_are_one_line_and_hide_no_other_problem(checkpoint):
    Path(checkpoint, "nightshift.json").write_text("{")
    first, second, third = problems_of({}, {"checkpoint": checkpoint}, {"steps": 0}, checkpoint=checkpoint)
    assert first.startswith(f"NIGHTSHIFT_CHECKPOINT: {checkpoint}/nightshift.json cannot be used: ")
    assert second.startswith(f"p.csv, line 2: checkpoint: {checkpoint}/nightshift.json cannot be used: ")
    assert third == "p.csv, line 3: steps: 0 is not between 1 and 500"
    assert "\n" not in first


def test_steps_that_a_scheduler_does_not_take_are_refused():
    (said,) = problems_of({"scheduler": "lcm", "steps": 51})
    assert str(said).endswith("steps: 51 are too many for LCM, which takes 50")
    assert [one.steps for one in specs({"scheduler": "LCM", "steps": 50}, {"steps": 51})] == [50, 51]


def test_a_preset_settles_scheduler_and_steps_and_is_kept():
    fast, turbo, exact = specs({"preset": "fast"}, {"preset": "TURBO"}, {})
    assert [(one.preset, one.scheduler, one.steps) for one in (fast, turbo, exact)] == [
        ("fast", "UniPC", 8),
        ("turbo", "UniPC", 5),
        ("exact", exact.scheduler, exact.steps),
    ]
    assert exact.steps > fast.steps


LCM = "latent-consistency/lcm-lora-sdv1-5"


@pytest.mark.parametrize(
    ("own", "flags", "lora"),
    [
        ({"preset": "draft"}, {}, LCM),
        ({"preset": "DRAFT", "lora": "olive:0.5"}, {}, f"{LCM}, olive:0.5"),
        ({"prompt": "a shoe <lora:olive>"}, {"preset": "draft"}, f"{LCM}, olive"),
        ({"preset": "draft"}, {"lora": "worn"}, f"{LCM}, worn"),
        # As somebody asks for more or less of it, and as a page gives it to make a picture again.
        ({"preset": "draft", "lora": f"{LCM}:0.8"}, {}, f"{LCM}:0.8"),
        ({"preset": "draft", "lora": LCM, "steps": "4", "guidance": "1", "scheduler": "lcm"}, {}, LCM),
    ],
)
def test_a_draft_has_the_lora_that_it_needs(own, flags, lora):
    (draft,) = specs(own, flags=flags)
    assert (draft.preset, draft.scheduler, draft.steps, draft.guidance) == ("draft", "LCM", 4, 1.0)
    assert draft.lora == lora


def test_what_is_no_draft_has_not():
    lines = {"preset": "exact", "lora": "olive"}, {"steps": 30}
    assert [one.lora for one in specs(*lines, flags={"preset": "draft"})] == ["olive", ""]


@pytest.mark.parametrize(
    ("own", "flags", "lora", "prompt"),
    [
        ({"lora": "olive:0.8"}, {}, "olive:0.8", "a shoe"),
        ({"lora": "worn, olive:0.80"}, {}, "olive:0.8, worn", "a shoe"),
        ({"lora": "olive.safetensors:1"}, {}, "olive", "a shoe"),
        ({}, {"lora": "olive, worn:2"}, "olive, worn:2", "a shoe"),
        # A line's own goes before the flag; A1111's syntax adds to either.
        ({"lora": "olive"}, {"lora": "worn"}, "olive", "a shoe"),
        ({"lora": ""}, {"lora": "worn"}, "", "a shoe"),
        ({"prompt": "a shoe <lora:olive:0.8>"}, {}, "olive:0.8", "a shoe"),
        ({"prompt": "a <lora:olive> shoe, <lora:worn:.5>"}, {"lora": "x"}, "olive, worn:0.5, x", "a shoe"),
        ({"prompt": "a shoe <lora:>"}, {}, "", "a shoe"),
        ({"prompt": "a shoe <hypernet:olive:1>"}, {}, "", "a shoe <hypernet:olive:1>"),
    ],
)
def test_loras_of_lines_flags_and_prompts(own, flags, lora, prompt):
    (spec,) = specs({"prompt": "a shoe", **own}, flags=flags)
    assert (spec.lora, spec.prompt) == (lora, prompt)


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"prompt": "a shoe <lora:olive:x>"}, "lora: LoRA olive: 'x' is no number; write olive:0.8, such as"),
        ({"lora": "olive:99"}, "lora: LoRA olive: 99 is not between -10 and 10"),
        ({"lora": "olive, olive:2"}, "lora: LoRA olive is asked for twice"),
        ({"lora": "a:b:c"}, "lora: LoRA a: 'b:c' is no number; write a:0.8, such as"),
        ({"lora": 3}, "lora: 3 is not text"),
        ({"prompt": "<lora:olive>"}, "prompt: is empty; write what the picture shows"),
    ],
)
def test_loras_that_cannot_be_are_named(own, said):
    (problem,) = problems_of({"prompt": "a shoe", **own})
    assert problem.endswith(said)


def test_a_plan_knows_its_loras_and_the_same_jobs_without_any_are_the_same_batch():
    found = plan({"prompt": "a"}, {"prompt": "b <lora:olive:2>"}, {"prompt": "c", "lora": "olive, worn"})
    assert list(found.loras) == ["olive", "worn"]
    assert plan({"prompt": "a", "lora": ""}).fingerprint == plan({"prompt": "a"}).fingerprint
    assert plan({"prompt": "a", "lora": "olive"}).fingerprint != plan({"prompt": "a"}).fingerprint


def test_what_a_line_says_goes_before_a_flag_a_preset_too():
    flag, own = {"preset": "fast", "steps": 8}, {"steps": 30}
    assert [(one.preset, one.steps) for one in specs({}, own, flags=flag)] == [("fast", 8), ("exact", 30)]
    assert [one.steps for one in specs({"preset": "turbo"}, flags={"steps": 30})] == [5]
    assert [one.steps for one in specs({"preset": "exact"}, flags={"preset": "fast"})] == [specs({})[0].steps]


@pytest.mark.parametrize(
    ("own", "flags", "said"),
    [
        ({"preset": "fast", "steps": "9"}, {}, "fast decides scheduler and steps: leave out steps, or the preset"),
        ({}, {"preset": "turbo", "scheduler": "DDIM"}, "turbo decides scheduler and steps: leave out scheduler"),
        ({"preset": "slow"}, {}, "no preset is called 'slow'; there are exact, fast, turbo, draft"),
        (
            {"preset": "draft", "guidance": "7.5"},
            {},
            "draft decides scheduler and steps and guidance: leave out guidance",
        ),
        ({"preset": "draft", "lora": "olive:x"}, {}, "LoRA olive: 'x' is no number"),
        ({"preset": 3}, {}, "preset: 3 is not text"),
    ],
)
def test_what_a_preset_decides_is_not_asked_for_beside_it(own, flags, said):
    assert any(said in str(problem) for problem in problems_of(own, flags=flags))


def test_the_same_is_asked_for_whether_a_batch_was_recorded_before_there_were_presets_or_not():
    # As it was recorded before.
    before = "31620883fe8bbb4d01050e304d7d85c7df673aaa71af201667de71fa9a7ece11"
    assert plan({"seed": 1}).fingerprint == plan({"seed": 1, "preset": "exact"}).fingerprint == before
    by_hand = plan({"seed": 1, "steps": 8, "scheduler": "UniPC"})
    assert plan({"seed": 1, "preset": "fast"}).fingerprint != by_hand.fingerprint
