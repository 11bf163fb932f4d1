"""`producer compare`: the same pictures in variants, by one worker, and what they show."""

import json

import pytest
from lora_files import kohya, random_layers, save
from PIL import Image

from models.types.states import JobState
from worker.engine.checkpoints.local_checkpoint import find_checkpoint
from worker.engine.devices.cpu import Cpu
from worker.engine.loading import load_checkpoint

STEPS = (500, 1000)
#: So little of the first that its pictures are hardly others.
LITTLE = "shoes/shoe-500:0.001"


@pytest.fixture(scope="module")
def nightshift(installation, settings):
    import torch

    pipeline = load_checkpoint(find_checkpoint("demo"), Cpu("cpu", torch.float32), settings()).pipeline
    with installation() as made:
        for step in STEPS:
            # Weights at random: what comes of them is no picture that a check accepts.
            layers = random_layers(pipeline, step, size=1.0)
            save(kohya(layers), made.data_dir / "loras" / "shoes" / f"shoe-{step}.safetensors")
        yield made


@pytest.fixture(scope="module")
def compared(nightshift):
    """Queue a comparison of the base and two checkpoints of a LoRA, make it, and return its batch."""
    prompts = nightshift.folder / "p.txt"
    prompts.write_text("a red boot on white\na black high-top on white\n")
    asked = ("--prompts", prompts, "--count", 4, "--axis", f"lora=none,{LITTLE},shoes/", "--checks", "product")
    done = nightshift.producer("compare", *asked)
    assert done.returncode == 0, done.stderr
    batch = done.stdout.split(":")[0]
    assert f"`producer compare {batch}` says what they show" in done.stdout
    again = nightshift.producer("compare", *asked)
    assert "it was asked for already" in again.stdout
    worker = nightshift.start_worker()
    nightshift.wait_until_finished(batch)
    assert worker.stop() == 0
    return batch


def test_each_prompt_and_seed_is_made_in_each_variant(nightshift, compared):
    jobs = nightshift.jobs(compared)
    by_variant = {}
    for job in jobs:
        by_variant.setdefault(job.attributes["lora"], []).append((job.prompt, job.seed))
    assert list(by_variant) == ["none", LITTLE, "shoes/shoe-500", "shoes/shoe-1000"]
    assert len(set(map(tuple, by_variant.values()))) == 1
    assert len(set(by_variant["none"])) == 8
    assert {(job.attributes["lora"], job.lora) for job in jobs} == {
        ("none", ""),
        (LITTLE, LITTLE),
        ("shoes/shoe-500", "shoes/shoe-500"),
        ("shoes/shoe-1000", "shoes/shoe-1000"),
    }


def test_it_says_what_was_accepted_and_whether_that_is_more_than_chance(nightshift, compared):
    found = nightshift.read_json("compare", compared)
    base, little, *others = found["variants"]
    jobs = nightshift.jobs(compared)
    for one in found["variants"]:
        own = [job for job in jobs if job.attributes["lora"] == one["variant"]]
        assert one["accepted"] == sum(job.state == JobState.SUCCEEDED for job in own)
        assert one["judged"] == one["pictures"] == 8
        assert one["mean_s"] > 0
    assert base["accepted"] >= 6
    # Hardly another picture, and no duplicate for that.
    assert abs(little["accepted"] - base["accepted"]) <= 1
    assert max(other["accepted"] for other in others) <= 2
    assert "No variant is better than none" in found["verdict"] or "not told apart" in found["verdict"]
    shown = nightshift.producer("compare").stdout
    assert f"{base['accepted']} of 8" in shown
    assert found["verdict"] in shown


def test_it_says_how_similar_the_pictures_are_where_that_is_asked(nightshift, compared):
    assert "similarity" not in nightshift.read_json("compare", compared)["variants"][0]
    found = nightshift.read_json("compare", compared, "--similarity")["variants"]
    first, little, *others = (one["similarity"] for one in found)
    assert first is None
    assert little["pairs"] == 8
    assert 0.9 < little["ssim_p5"] <= little["ssim"] < 1
    assert all(one["ssim"] < little["ssim"] and one["psnr"] < little["psnr"] for one in others)
    shown = nightshift.producer("compare", "--similarity").stdout
    assert f"{little['ssim']:.3f}, {little['ssim_p5']:.3f}" in shown


def test_a_sheet_has_a_column_for_each_variant(nightshift, compared, tmp_path):
    done = nightshift.producer("compare", compared, "--sheet", tmp_path / "s.png")
    assert done.returncode == 0
    assert f"{tmp_path / 's.png'}: 8 rows of 4 variants" in done.stdout
    with Image.open(tmp_path / "s.png") as sheet:
        assert sheet.width > 4 * 160
        assert sheet.height > 8 * 160


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--axis", "lora=none,nowhere/", "--prompt", "x"), "--axis lora=nowhere/ names no folder of LoRAs in "),
        (("--axis", "seed=1,2", "--prompt", "x"), "--axis seed=1,2 is no axis; write FIELD=VALUE,VALUE with one of "),
        (("--axis", "steps=4,none", "--prompt", "x"), "steps: 'none' is not a whole number"),
        (("--axis", "steps=4", "--prompt", "x", "--target", 3, "--checks", "none"), "would compare other seeds"),
        (("--axis", "steps=4", "--prompt", "x", "--json"), "--axis queues a comparison"),
        (("--axis", "steps=4"), "say what to make"),
        (("nobody",), "there is no batch 'nobody'"),
    ],
)
def test_what_cannot_be_compared_is_said(nightshift, compared, arguments, said):
    refused = nightshift.producer("compare", *arguments)
    assert refused.returncode == 2
    assert said in refused.stderr


def test_a_batch_that_compares_nothing_is_told_of(nightshift, compared):
    batch = nightshift.enqueue("--prompt", "a boot")
    refused = nightshift.producer("compare", batch)
    assert refused.returncode == 2
    assert f"{batch} compares nothing: `producer compare --axis` queues a batch that does" in refused.stderr
    assert json.loads(nightshift.producer("compare", compared, "--json").stdout)
