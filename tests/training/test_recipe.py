"""The whole training, in a few steps of each stage: what it leaves loads, and a second run takes up the first."""

import json

import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from training import autoencoder, denoiser, evaluation, kind, recipe, text
from training.card import Evaluation, evaluation_table, model_card
from training.stages import Stages


@pytest.fixture(scope="module")
def short():
    """Make every stage a few steps long."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in (
            *((autoencoder, part) for part in ("_CROPS", "_WHOLE", "_NOISY")),
            *((module, "STEPS") for module in (denoiser, kind, text)),
            (denoiser, "GUIDED_STEPS"),
            (denoiser, "_BATCH"),
        ):
            patch.setattr(module, name, 2)
        patch.setattr(autoencoder, "STEPS", 6)
        patch.setattr(recipe, "_PICTURES", 48)
        patch.setattr(recipe, "_HELD_OUT", 48)
        patch.setattr(recipe, "_CAPTIONS", 2)
        asked = list(evaluation.prompts())[::48]
        patch.setattr(evaluation, "prompts", lambda _wordings=None: iter(asked))
        yield


@pytest.fixture(scope="module")
def made(short, tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    threads = torch.get_num_threads()
    found = recipe.make_checkpoint(Stages(folder / "work"), folder / "out", folder / "sheet.png")
    torch.set_num_threads(threads)
    return folder, found


def test_what_it_leaves_is_a_pipeline_that_draws(made):
    folder, _ = made
    pipeline = StableDiffusionPipeline.from_pretrained(folder / "out")
    pipeline.set_progress_bar_config(disable=True)
    (picture,) = pipeline("a red shoe", num_inference_steps=2, width=128, height=128).images
    assert picture.size == (128, 128)


def test_the_evaluation_is_kept_beside_the_weights_with_a_card_that_quotes_it(made):
    folder, found = made
    kept = Evaluation.model_validate_json((folder / "out" / "evaluation.json").read_text())
    assert kept == found
    assert (folder / "out" / "README.md").read_text() == model_card(found)
    assert found.own.pictures == found.unseen.pictures == found.stable_diffusion.pictures == 4
    assert found.measures.pictures == 48
    assert found.measures.colour_right == 1
    assert set(found.training_s) == {"text", "autoencoder", "latents", "denoiser", "guidance", "kind"}
    assert evaluation_table(found).row_count == 4


def test_an_untrained_checkpoint_fails_the_evaluation(made):
    """So the measures do not say yes to whatever they are shown."""
    _, found = made
    assert found.own.colour_right < 0.6
    assert found.own.white_border_mean < 0.98


def test_the_sheet_shows_what_was_drawn(made):
    folder, _ = made
    with Image.open(folder / "sheet.png") as sheet:
        assert sheet.size == (12 * 128, 128)


def test_a_second_run_trains_nothing_and_replaces_an_earlier_checkpoint_by_the_same_weights(made, monkeypatch):
    folder, found = made
    (folder / "again").mkdir()
    (folder / "again" / "stale.txt").write_text("from before")
    for module in (autoencoder, denoiser, kind, text):
        monkeypatch.setattr(module, "train", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr(denoiser, "guide", lambda *_: pytest.fail("trained again"))
    again = recipe.make_checkpoint(Stages(folder / "work"), folder / "again", None)
    assert again.training_s == found.training_s
    files = sorted(path.relative_to(folder / "out") for path in (folder / "out").rglob("*.safetensors"))
    assert len(files) == 3
    for file in files:
        assert (folder / "again" / file).read_bytes() == (folder / "out" / file).read_bytes()
    assert not (folder / "again" / "stale.txt").exists()
    assert json.loads((folder / "again" / "nightshift.json").read_text())["steps"] == 12
