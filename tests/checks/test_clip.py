"""The score of picture against prompt, with a small CLIP that is made here; none is ever downloaded."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

from checks.asked import Asked
from checks.examiner import Examiner
from checks.picture import Picture
from checks.registry import SETS, select
from models.checkpoints import DEMO_FOLDER

PROMPT = "a photo of red boots on white background"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A CLIP of two layers with random weights and the tokenizer of the demo."""
    made = tmp_path_factory.mktemp("clip")
    tokenizer = CLIPTokenizer.from_pretrained(DEMO_FOLDER / "tokenizer")
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = small | {"vocab_size": len(tokenizer), "max_position_embeddings": 77}
    text |= {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    vision = small | {"image_size": 32, "patch_size": 8}
    torch.manual_seed(0)
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)).save_pretrained(made)
    images = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(images, tokenizer).save_pretrained(made)
    return made


@pytest.fixture
def image():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))


def score(folder, image, prompt):
    """Return what the score has to be, from the logits, which are scaled cosines."""
    model, processor = CLIPModel.from_pretrained(folder), CLIPProcessor.from_pretrained(folder)
    given = processor(text=[prompt], images=image, return_tensors="pt", truncation=True, max_length=77)
    with torch.inference_mode():
        return float(100 * model(**given).logits_per_image[0, 0] / model.logit_scale.exp())


@pytest.mark.parametrize("prompt", [PROMPT, "red boots " * 100, ""], ids=["short", "longer than it sees", "empty"])
def test_the_score_is_the_cosine(folder, image, prompt):
    (finding,) = select(f"clip.model={folder},clip.least=0").check(Picture(image), Asked(prompt, 64, 64))
    assert finding.figure == pytest.approx(score(folder, image, prompt), abs=1e-3)
    assert finding.passed == (finding.figure >= 0)


def test_the_limit_decides(folder, image):
    expected = score(folder, image, PROMPT)
    for least in (max(expected - 1, 0), min(max(expected + 1, 0), 100)):
        (finding,) = select(f"clip.model={folder},clip.least={least}").check(Picture(image), Asked(PROMPT, 64, 64))
        assert finding.passed == (expected >= least)


def test_where_there_is_none_nothing_is_measured_rejected_or_fetched(image, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    # Whoever asked would be told of the wrong server.
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with_process = Examiner()
    try:
        file = tmp_path / "x.png"
        image.save(file)
        found = with_process.examine(file.read_bytes(), Asked(PROMPT, 64, 64), select("clip"))
    finally:
        with_process.close()
    (finding,) = found.findings
    assert (finding.figure, finding.passed) == (None, True)
    assert finding.sentence.startswith("not measured: openai/clip-vit-base-patch32 is not on this machine")
    assert not [path for path in tmp_path.rglob("*") if "clip" in path.name]


def test_no_set_asks_for_it():
    assert all("clip" not in members for members in SETS.values())
