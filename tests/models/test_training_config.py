"""What a training is told: by a file in the words of other scripts, and by flags, which win over it."""

from pathlib import Path
from textwrap import dedent

import pytest

from models.training.config import TrainingConfig, read_config
from models.types.errors import BadInputError

#: As a person wrote it for a script of their own.
PYTHON = dedent("""\
    training_config = {
        # Model
        'model_id': 'runwayml/stable-diffusion-v1-5',
        'revision': 'main',
        'train_data_dir': 'data/casual_shoes/train',
        'resolution': 512,
        'train_batch_size': 2,
        'gradient_accumulation_steps': 8,
        'num_train_epochs': 1,
        'max_train_steps': 3000,
        'learning_rate': 1e-4,
        'mixed_precision': 'fp16',
        'gradient_checkpointing': True,
        'use_8bit_adam': False,
        'lora_rank': 8,
        'lora_alpha': 16,
        'lora_dropout': 0.0,
        'lora_target_modules': ['to_q', 'to_k', 'to_v', 'to_out.0'],
        'validation_prompt': [
            "A professional product photo of black casual shoes on white background",
            "A professional product photo of brown casual shoes on white background",
        ],
        'validation_epochs': 1,
        'validation_steps': 500,
        'num_validation_images': 4,
        'checkpointing_steps': 500,
        'checkpoints_total_limit': 5,
        'logging_dir': 'training/logs',
        'report_to': 'tensorboard',
    }
""")
TOML = 'model_id = "runwayml/stable-diffusion-v1-5"\nlora_rank = 16\nvalidation_prompt = "a shoe"\n'


@pytest.fixture
def written(tmp_path):
    def write(name, text):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def problems(*asked):
    with pytest.raises(BadInputError) as caught:
        read_config(*asked)
    return caught.value.problems


def test_nothing_is_a_configuration_too():
    config, said = read_config(None, {})
    assert config == TrainingConfig()
    assert said == []
    assert config.pictures_a_step == 16
    assert (config.lora_rank, config.lora_alpha, config.max_train_steps) == (8, 16, 3000)


def test_the_dictionary_of_a_script_is_read_as_it_stands(written):
    config, said = read_config(written("config.py", PYTHON), {})
    # The hub moved it.
    assert config.model_id == "stable-diffusion-v1-5/stable-diffusion-v1-5"
    assert (config.mixed_precision, config.gradient_checkpointing, config.report_to) == ("fp16", True, "tensorboard")
    assert config.lora_target_modules == ("to_q", "to_k", "to_v", "to_out.0")
    assert len(config.validation_prompt) == 2
    assert (config.revision, config.checkpoints_total_limit) == ("main", 5)
    assert config.logging_dir == str(Path("training/logs").resolve())
    # It says twice how long it takes; which counts is told, as it is by diffusers' scripts.
    assert said == [
        "num_train_epochs has no effect: max_train_steps is told, too",
        "validation_epochs has no effect: validation_steps is told, too",
    ]
    assert (config.max_train_steps, config.num_train_epochs, config.validation_epochs) == (3000, None, None)


PASSES = "num_train_epochs = 4\nvalidation_epochs = 2\n"


def test_passes_are_counted_in_steps(written):
    config, said = read_config(written("config.toml", PASSES + "lr_warmup_steps = 3500\n"), {})
    counted = config.of_passes(15_000)
    assert said == []
    # 16 pictures a step.
    assert (counted.max_train_steps, counted.validation_steps) == (3750, 1875)
    # It stands in a row so, and is read from there.
    assert TrainingConfig.model_validate(counted.model_dump(mode="json")).of_passes(99) == counted


def test_passes_too_few_for_the_rate_to_reach_its_height_are_refused(written):
    config, _ = read_config(written("config.toml", PASSES + "lr_warmup_steps = 3750\n"), {})
    with pytest.raises(BadInputError, match="lr_warmup_steps: the rate would never"):
        config.of_passes(15_000)


@pytest.mark.parametrize(
    ("told", "flags", "counted", "said"),
    [
        ("max_train_steps = 7\n", {"num_train_epochs": 3}, (3, 500), 0),
        ("num_train_epochs = 3\n", {"max_train_steps": 7}, (7, 500), 1),
        ("", {"max_train_steps": 7, "num_train_epochs": 3}, (7, 500), 1),
        ("validation_steps = 7\n", {"validation_epochs": 3}, (3000, 3), 0),
        ("", {"max_train_steps": 7}, (7, 500), 0),
    ],
)
def test_steps_win_over_passes_and_flags_over_the_file(written, told, flags, counted, said):
    config, lines = read_config(written("config.toml", told), flags)
    config = config.of_passes(16)
    assert (config.max_train_steps, config.validation_steps) == counted
    assert len(lines) == said


def test_none_in_a_script_says_nothing(written):
    asked = {"max_train_steps": None, "num_train_epochs": 2, "report_to": None, "snr_gamma": None}
    config, said = read_config(written("config.py", f"args = {asked!r}"), {})
    assert said == []
    assert config.of_passes(160).max_train_steps == 20


def test_a_folder_for_figures_that_nobody_writes_is_said():
    _, said = read_config(None, {"logging_dir": "~/logs"})
    assert said == ["logging_dir has no effect: report_to=tensorboard writes files there"]
    config, said = read_config(None, {"logging_dir": "~/logs", "report_to": "tensorboard"})
    assert (config.logging_dir, said) == (str(Path("~/logs").expanduser()), [])


def test_nothing_of_such_a_file_is_run(written, tmp_path):
    file = written("config.py", f"training_config = {{'seed': open({str(tmp_path / 'made')!r}, 'w')}}")
    (problem,) = problems(file, {})
    assert "its dictionary cannot be read" in problem
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["config.toml", "config.py"])
def test_what_windows_programs_write_before_a_text_is_no_part_of_it(written, name):
    text = {"config.toml": "lora_rank = 16\n", "config.py": "config = {'lora_rank': 16}\n"}
    file = written(name, "\ufeff" + text[name])
    assert read_config(file, {})[0].lora_rank == 16


def test_flags_win_over_the_file(written):
    file = written("config.toml", TOML)
    assert read_config(file, {})[0].lora_rank == 16
    config, _ = read_config(file, {"lora_rank": 4})
    assert (config.lora_rank, config.validation_prompt) == (4, ("a shoe",))


def test_every_key_that_cannot_be_used_is_named_at_once(written):
    file = written("config.toml", "lora_rang = 8\nresolution = 500\nlearning_rate = -1\nuse_8bit_adam = true\n")
    found = problems(file, {})
    assert len(found) == 4
    assert f"{file}: lora_rang is no key of a training" in found
    assert any("resolution=500" in problem and "multiple of 8" in problem for problem in found)
    assert all(problem.startswith(f"{file}: ") for problem in found)


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("a.toml", "lora_rank = ", "is no TOML"),
        ("a.py", "lora_rank = 8", "gives no dictionary"),
        ("a.py", "x = {", "cannot be read"),
    ],
)
def test_a_file_that_is_none_is_said(written, name, text, what):
    (problem,) = problems(written(name, text), {})
    assert what in problem


def test_one_that_is_not_there_is_said(tmp_path):
    (problem,) = problems(tmp_path / "none.toml", {})
    assert "none.toml cannot be read" in problem


@pytest.mark.parametrize("prompt", ["boot " * 5000, "a boot\0"])
def test_a_prompt_that_no_picture_can_be_made_of_is_refused(prompt):
    (problem,) = problems(None, {"validation_prompt": ("a boot", prompt)})
    assert problem.startswith("validation_prompt.1")


def test_a_rate_that_never_reaches_its_height_is_refused():
    (problem,) = problems(None, {"lr_warmup_steps": 100, "max_train_steps": 100})
    assert problem.startswith("lr_warmup_steps: the rate would never reach its height")
