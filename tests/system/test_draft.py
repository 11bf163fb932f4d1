"""The preset `draft`: it needs a LoRA of the hub, and says what to fetch where that is not on this machine."""

import pytest
from lora_files import kohya, random_layers, save
from PIL import Image

from models.types.presets import PRESETS
from models.types.states import JobState
from worker.engine.checkpoints.local_checkpoint import find_checkpoint
from worker.engine.devices.cpu import Cpu
from worker.engine.loading import load_checkpoint

LORA = PRESETS["draft"].lora
ASKED = ("--prompt", "a red boot on white", "--seed", 1, "--checkpoint", "demo", "--preset", "draft")


@pytest.fixture(scope="module")
def nightshift(installation):
    with installation() as made:
        yield made


@pytest.fixture
def fetched(nightshift, settings):
    """Put weights at random where the hub's library keeps those of the LoRA."""
    import torch

    pipeline = load_checkpoint(find_checkpoint("demo"), Cpu("cpu", torch.float32), settings()).pipeline
    cache = nightshift.folder / "hub" / "hub" / f"models--{LORA.replace('/', '--')}"
    save(kohya(random_layers(pipeline, 1)), cache / "snapshots" / "c0ffee" / "pytorch_lora_weights.safetensors")
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("c0ffee")


def test_it_is_refused_with_what_to_download(nightshift):
    remedy = f"`producer download {LORA} --lora` fetches it"
    refused = nightshift.producer("run", *ASKED)
    assert refused.returncode == 2
    assert remedy in refused.stderr
    # The worker may be on another machine, so this is no more than told of.
    told = nightshift.producer("enqueue", *ASKED, "--dry-run")
    assert told.returncode == 0
    assert remedy in told.stderr


def test_it_makes_a_picture_in_four_steps_with_the_lora(nightshift, fetched):
    done = nightshift.producer("run", *ASKED)
    assert done.returncode == 0, done.stderr
    (job,) = nightshift.jobs()
    assert job.state == JobState.SUCCEEDED
    assert (job.preset, job.scheduler, job.steps, job.guidance, job.lora) == ("draft", "LCM", 4, 1.0, LORA)
    with Image.open(nightshift.data_dir / job.picture) as picture:
        said = picture.info["parameters"]
    assert "Preset: draft" in said
    assert "Sampler: LCM" in said
    assert "Lora hashes" in said
    # In its prompt the LoRA has a name without the hub's account, and is found all the same.
    assert f"<lora:{LORA.rpartition('/')[2]}:1>" in said
    again = nightshift.producer("run", "--from", nightshift.data_dir / job.picture, "--new")
    assert again.returncode == 0, again.stderr
    other = nightshift.jobs()[-1]
    assert (other.prompt, other.scheduler, other.steps, other.guidance, other.lora) == (job.prompt, "LCM", 4, 1.0, LORA)
    pixels = [Image.open(nightshift.data_dir / each.picture).tobytes() for each in (job, other)]
    assert pixels[0] == pixels[1]
