"""The text side: a tokenizer of the captions' words and a CLIP text encoder that tells their colour and kind."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from tokenizers.pre_tokenizers import ByteLevel
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from training.captions import NO_COLOUR, NO_KIND, Caption, any_caption, make_caption
from training.descent import descend

WIDTH: Final = 64
PLACES: Final = 77
STEPS: Final = 3200
_CAPTIONS_A_STEP: Final = 64
_CORPUS: Final = 20_000
#: Words that stand in the corpus less often have no token of their own.
_FEWEST: Final = 20
#: Words of plain letters; signs and other scripts are left to the bytes.
_WORD: Final = re.compile("[a-z]+")


def make_tokenizer(rng: np.random.Generator) -> CLIPTokenizer:
    """Return CLIP's tokenizer with a byte-pair vocabulary learnt from captions; any text has tokens."""
    letters = sorted(ByteLevel.alphabet())
    counts = Counter(word for _ in range(_CORPUS) for word in _WORD.findall(any_caption(rng).text.lower()))
    merges = _merges({word: count for word, count in counts.items() if count >= _FEWEST})
    # CLIP's order: bytes, bytes that end a word, merges, the two marks.
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(pair) for pair in merges)]
    vocabulary = dict.fromkeys([*tokens, "<|startoftext|>", "<|endoftext|>"])
    return CLIPTokenizer(
        vocab={token: number for number, token in enumerate(vocabulary)}, merges=merges, model_max_length=PLACES
    )


def _merges(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return byte-pair merges until each word is one token (Sennrich et al. 2016, arXiv:1508.07909, algorithm 1).

    The trainer of `tokenizers` breaks ties differently in every process, so it cannot make a checkpoint again.
    """
    words = {word: [*word[:-1], f"{word[-1]}</w>"] for word in counts}
    merges: list[tuple[str, str]] = []
    while True:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, parts in words.items():
            for pair in pairwise(parts):
                pairs[pair] += counts[word]
        if not pairs:
            return merges
        merged = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(merged)
        for parts in words.values():
            for place in reversed(range(len(parts) - 1)):
                if tuple(parts[place : place + 2]) == merged:
                    parts[place : place + 2] = ["".join(merged)]


def build(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Return an untrained text encoder."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=PLACES,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def train(encoder: CLIPTextModel, tokenizer: CLIPTokenizer, rng: np.random.Generator) -> Iterator[float]:
    """Train `encoder` in place; yields the share of captions told right at each of `STEPS` steps.

    Each place from the end token on must tell colour and kind, because the denoiser attends to all 77 of them.
    """
    colour_head, kind_head = nn.Linear(WIDTH, NO_COLOUR + 1), nn.Linear(WIDTH, NO_KIND + 1)
    parameters = [*encoder.parameters(), *colour_head.parameters(), *kind_head.parameters()]
    optimiser = torch.optim.AdamW(parameters, fused=True)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=2e-3, total_steps=STEPS, pct_start=0.1)
    for _ in range(STEPS):
        captions = [any_caption(rng) for _ in range(_CAPTIONS_A_STEP)]
        tokens = tokenize(tokenizer, captions)
        after = _from_end_token(tokens, tokenizer.eos_token_id)
        hidden = encoder(tokens).last_hidden_state[after]
        # One row a place, so a caption's label stands once for each of its places.
        of = torch.arange(len(captions))[:, None].expand_as(tokens)[after]
        colours = torch.tensor([caption.colour for caption in captions])
        kinds = torch.tensor([caption.kind for caption in captions])
        told_colour, told_kind = colour_head(hidden), kind_head(hidden)
        loss = functional.cross_entropy(told_colour, colours[of]) + functional.cross_entropy(told_kind, kinds[of])
        descend(loss, optimiser, rate)
        right = (told_colour.argmax(1) == colours[of]) & (told_kind.argmax(1) == kinds[of])
        yield right.float().mean().item()


def tokenize(tokenizer: CLIPTokenizer, captions: list[Caption]) -> Tensor:
    """Return the captions' tokens as the pipeline pads and cuts them: (n, 77)."""
    texts = [caption.text for caption in captions]
    found = tokenizer(texts, padding="max_length", max_length=PLACES, truncation=True, return_tensors="pt")
    return found.input_ids


def _from_end_token(tokens: Tensor, end: int) -> Tensor:
    """Return the mask of the end token's place and of all that follow, which are padding."""
    return (tokens == end).int().cumsum(1) > 0


@torch.inference_mode()
def embedded(encoder: CLIPTextModel, tokenizer: CLIPTokenizer, captions: list[Caption]) -> Tensor:
    """Return what the denoiser gets to see of captions: (n, 77, 64)."""
    tokens = tokenize(tokenizer, captions)
    return torch.cat([encoder(part).last_hidden_state for part in tokens.split(64)])


def caption_pool(
    encoder: CLIPTextModel, tokenizer: CLIPTokenizer, number: int, rng: np.random.Generator
) -> Iterator[Tensor]:
    """Yield the embeddings of `number` captions for each colour and kind, none included: 13 x 5 of (number, 77, 64).

    Those that name neither are one and the same, the empty prompt, which guidance leads away from.
    """
    for colour in range(NO_COLOUR + 1):
        for kind in range(NO_KIND + 1):
            if colour == NO_COLOUR and kind == NO_KIND:
                captions = [Caption("", colour, kind)] * number
            else:
                captions = [make_caption(rng, colour, kind) for _ in range(number)]
            yield embedded(encoder, tokenizer, captions)
