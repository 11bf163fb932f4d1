"""The tokenizer takes any text, and the text encoder tells colour and kind from every place behind the text."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from training import text
from training.captions import NO_COLOUR, NO_KIND, Caption
from training.palette import COLOURS


@pytest.fixture(scope="module")
def tokenizer():
    return text.make_tokenizer(np.random.default_rng(0))


def tokens(tokenizer, words):
    return tokenizer.tokenize(words)


@pytest.mark.parametrize("word", [*COLOURS, "gray", "shoe", "sneakers", "loafers", "boots", "background", "photo"])
def test_the_words_that_count_are_one_token(tokenizer, word):
    assert tokens(tokenizer, word) == [f"{word}</w>"]
    assert tokens(tokenizer, word.upper()) == [f"{word}</w>"]


@pytest.mark.parametrize(
    "words", ["👟🔥", "鞋子 красные ботинки", "\u0000\uffff\u202e", "zxqj" * 200, "", " \n\t ", "a" * 9999]
)
def test_any_text_becomes_77_tokens_of_the_vocabulary(tokenizer, words):
    found = text.tokenize(tokenizer, [Caption(words, NO_COLOUR, NO_KIND)])
    assert found.shape == (1, 77)
    assert found.min() >= 0
    assert found.max() < len(tokenizer)
    assert found[0, 0] == tokenizer.bos_token_id
    assert found[0, -1] == tokenizer.eos_token_id


def test_the_tokenizer_is_the_same_in_every_process(tokenizer):
    """A stage that is taken up later must find the words where the text encoder learnt them."""
    code = "import json, numpy as np; from training import text; print(json.dumps(text.make_tokenizer("
    code += "np.random.default_rng(0)).get_vocab()))"
    root = Path(text.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == tokenizer.get_vocab()


def test_training_tells_more_captions_right(tokenizer, monkeypatch):
    monkeypatch.setattr(text, "STEPS", 40)
    torch.manual_seed(0)
    shares = list(text.train(text.build(tokenizer), tokenizer, np.random.default_rng(0)))
    assert len(shares) == 40
    assert np.mean(shares[-5:]) > np.mean(shares[:5])


def test_the_pool_has_captions_of_every_label_and_one_empty_prompt(tokenizer):
    encoder = text.build(tokenizer).eval()
    pool = list(text.caption_pool(encoder, tokenizer, 2, np.random.default_rng(0)))
    assert len(pool) == 13 * 5
    assert all(part.shape == (2, 77, 64) for part in pool)
    empty = text.embedded(encoder, tokenizer, [Caption("", NO_COLOUR, NO_KIND)])
    assert torch.allclose(pool[-1], empty.expand(2, -1, -1), atol=1e-5)
    assert not torch.allclose(pool[0][0], pool[0][1])
