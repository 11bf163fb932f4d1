"""What a training is told: by a file in the words of other scripts, and by flags, which win over it."""

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
    # What it says of epochs and folders for logs is told of, and not left out in silence.
    assert [line.split()[0] for line in said] == [
        *("revision", "checkpoints_total_limit", "num_train_epochs", "validation_epochs", "logging_dir"),
    ]


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


def test_a_rate_that_never_reaches_its_height_is_refused():
    (problem,) = problems(None, {"lr_warmup_steps": 100, "max_train_steps": 100})
    assert problem.startswith("lr_warmup_steps: the rate would never reach its height")
