"""The text side: a tokenizer of the captions' words and a CLIP text encoder that tells their colour and kind."""

import json
from collections.abc import Iterator
from typing import Final

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Whitespace
from tokenizers.trainers import BpeTrainer
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from training.captions import NO_COLOUR, NO_KIND, Caption, any_caption, make_caption
from training.descent import descend

WIDTH: Final = 64
PLACES: Final = 77
STEPS: Final = 1600
_CAPTIONS_A_STEP: Final = 64
_CORPUS: Final = 20_000
_VOCABULARY: Final = 1600


def make_tokenizer(rng: np.random.Generator) -> CLIPTokenizer:
    """Return CLIP's tokenizer with a byte-pair vocabulary learnt from captions; any text has tokens."""
    letters = sorted(ByteLevel.alphabet())
    learner = Tokenizer(BPE(end_of_word_suffix="</w>"))
    learner.normalizer = Lowercase()
    learner.pre_tokenizer = Sequence([Whitespace(), ByteLevel(add_prefix_space=False, use_regex=False)])
    captions = (any_caption(rng).text for _ in range(_CORPUS))
    learner.train_from_iterator(
        captions,
        BpeTrainer(
            vocab_size=_VOCABULARY,
            min_frequency=20,
            initial_alphabet=letters,
            end_of_word_suffix="</w>",
            show_progress=False,
        ),
    )
    merges = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    # CLIP's order: bytes, bytes that end a word, merges, the two marks.
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(pair) for pair in merges)]
    vocabulary = dict.fromkeys([*tokens, "<|startoftext|>", "<|endoftext|>"])
    return CLIPTokenizer(
        vocab={token: number for number, token in enumerate(vocabulary)}, merges=merges, model_max_length=PLACES
    )


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
