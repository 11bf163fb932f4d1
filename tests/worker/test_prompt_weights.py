"""Weights and BREAK change what the denoiser sees, as asked; a prompt without them is the same to the bit."""

import numpy as np
import pytest
import torch

from models.types.prompt_syntax import has_syntax
from training.appearance import drawn_colour
from worker.engine.devices.cpu import Cpu
from worker.engine.making.generation import generate

CPU = Cpu("cpu", torch.float32)


@pytest.fixture(scope="module")
def loaded(load):
    return load()


@pytest.fixture(scope="module")
def of_words(load):
    """The same checkpoint where the syntax is words."""
    return load(prompt_weights=False)


@torch.inference_mode()
def embeddings(loaded, text):
    return loaded.prompt_embeddings.of(text).embeddings


@pytest.mark.parametrize("text", ["", "a red shoe", "a red shoe, 16:9 <lora:x:1> AND {a|b}", "x " * 200])
def test_a_prompt_without_syntax_is_the_same_to_the_bit(loaded, of_words, text):
    assert not has_syntax(text)
    usual, _ = loaded.pipeline.encode_prompt(text, torch.device("cpu"), 1, do_classifier_free_guidance=False)
    assert torch.equal(embeddings(loaded, text), usual)
    assert torch.equal(embeddings(of_words, text), usual)


@pytest.mark.parametrize(
    ("written", "same"),
    [
        (r"a \\(red\\) shoe".replace("\\\\", "\\"), "a (red) shoe"),
        ("a (red:1.0) shoe", "a red shoe"),
        ("a ([red]) shoe", "a red shoe"),
    ],
)
def test_weights_of_1_and_escapes_are_the_words_themselves(loaded, of_words, written, same):
    assert torch.equal(embeddings(loaded, written), embeddings(of_words, same))


def test_the_setting_takes_everything_as_words(loaded, of_words):
    text = "a (red:1.5) shoe BREAK boot"
    assert embeddings(of_words, text).shape == (1, 77, 64)
    assert embeddings(loaded, text).shape == (1, 154, 64)


def test_a_weight_leads_on_the_way_from_the_word_left_out_to_the_word(loaded):
    """By how far the embeddings are from those of the plain prompt: the more, the further the weight is from 1."""
    plain = embeddings(loaded, "a red shoe")
    apart = [float((embeddings(loaded, f"a (red:{weight}) shoe") - plain).norm()) for weight in (1.05, 1.2, 1.5, 2)]
    assert 0 < apart[0] < apart[1] < apart[2] < apart[3]
    apart = [float((embeddings(loaded, f"a (red:{weight}) shoe") - plain).norm()) for weight in (0.9, 0.5, 0.1, 0)]
    assert 0 < apart[0] < apart[1] < apart[2] < apart[3]
    assert torch.isfinite(embeddings(loaded, "a (red:0) (shoe:5) [x] (((y)))")).all()


def test_parts_are_seen_each_by_itself(loaded):
    both = embeddings(loaded, "a red shoe BREAK on (white:1.2)")
    assert torch.equal(both[:, :77], embeddings(loaded, "a red shoe"))
    assert torch.equal(both[:, 77:], embeddings(loaded, "on (white:1.2)"))


def test_tokens_are_counted_and_cut_part_by_part(loaded):
    of = loaded.prompt_embeddings.of
    assert of("a (red:1.2) shoe").tokens == of("a red shoe").tokens
    assert of("a (red:1.2) shoe").cut is None
    long = "(red:1.2) " + "shoe " * 100
    assert of(long).tokens == 103
    assert of(long).cut.split() == ["shoe"] * 26
    assert of(f"red BREAK {long}").cut == of(long).cut
    assert of(f"{long} BREAK {long}").cut == " … ".join([of(long).cut] * 2)
    assert of("a (red:1.2) shoe").ids != of("a (red:1.3) shoe").ids


@pytest.mark.parametrize(
    ("prompt", "negative"),
    [
        ("(red:1.2) boots", ""),
        ("red boots BREAK on a table", ""),
        ("red boots", "blurry BREAK (dark:1.3) BREAK noisy"),
        ("red boots BREAK wet", "blurry BREAK dark"),
        ("[[red]] (boots)", "(blue)"),
    ],
)
@pytest.mark.parametrize("guidance", [1.0, 7.5])
def test_pictures_are_made_of_them_and_are_the_same_each_time(loaded, spec, prompt, negative, guidance):
    asked = spec(prompt=prompt, negative_prompt=negative, guidance=guidance, steps=3)
    one, other = (np.asarray(generate(loaded, CPU, asked, lambda _step: None).picture) for _ in range(2))
    assert np.array_equal(one, other)
    # Another prompt in between, which must leave nothing behind.
    generate(loaded, CPU, spec(prompt="(blue:1.5) BREAK x", steps=3), lambda _step: None)
    assert np.array_equal(one, np.asarray(generate(loaded, CPU, asked, lambda _step: None).picture))


def test_the_weight_of_a_colour_is_seen_in_the_picture(loaded, spec):
    usual = {"steps": 12, "width": 128, "height": 128}
    heavy = spec(prompt="(red:1.4) and (blue:0.1) boots", **usual)
    other = spec(prompt="(red:0.1) and (blue:1.4) boots", **usual)
    drawn = [drawn_colour(generate(loaded, CPU, asked, lambda _step: None).picture) for asked in (heavy, other)]
    assert drawn == ["red", "blue"]
