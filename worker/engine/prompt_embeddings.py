"""What the text encoder makes of a text, kept for the texts that come again."""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch

from models.types.prompt_syntax import Part, has_syntax, parse_prompt

#: Texts kept, the ones used last: of SD 1.5 they take 118 KB each in float16, 236 KB in float32.
_MOST = 64


@dataclass(frozen=True)
class EncodedText:
    """A text as the denoiser takes it, 1 x 77 x 768 for SD 1.5, and how much of it the encoder saw.

    A text of several parts, with BREAK between them, has 77 places for each.
    """

    embeddings: torch.Tensor
    #: The tokens that the encoder saw, with their weights where a text has any.
    ids: Hashable
    #: With start and end token, and those that were cut off.
    tokens: int
    #: The end of the text that was cut off, None if nothing was.
    cut: str | None


class PromptEmbeddings:
    """Encodes texts with a loaded pipeline; most of a batch share their negative prompt, many their prompt too.

    A text's embeddings do not depend on whether it is a prompt or a negative prompt, nor on any other text.
    """

    def __init__(self, pipeline: Any, device: torch.device, *, weights: bool) -> None:
        """Take a pipeline on a device; with `weights` those that `prompt_syntax` finds count."""
        # Over a function and not a method: a circle would keep the weights in memory when they are to make room.
        self.of = lru_cache(maxsize=_MOST)(partial(_encode, pipeline, device, weights))

    def both(self, prompt: str, negative_prompt: str) -> tuple[EncodedText, EncodedText]:
        """Return both texts, the shorter filled up with the empty text, since guidance takes one length."""
        one, other = self.of(prompt), self.of(negative_prompt)
        return self._filled(one, other.embeddings.shape[1]), self._filled(other, one.embeddings.shape[1])

    def _filled(self, text: EncodedText, places: int) -> EncodedText:
        missing = places - text.embeddings.shape[1]
        if missing <= 0:
            return text
        empty = self.of("").embeddings
        filled = torch.cat([text.embeddings, *[empty] * (missing // empty.shape[1])], dim=1)
        return EncodedText(filled, (text.ids, places), text.tokens, text.cut)


def _encode(pipeline: Any, device: torch.device, weights: bool, text: str) -> EncodedText:
    if not weights or not has_syntax(text):
        return _encode_words(pipeline, device, text)
    parts = [_encode_part(pipeline, device, part) for part in parse_prompt(text)]
    if len(parts) == 1:
        return parts[0]
    return EncodedText(
        torch.cat([part.embeddings for part in parts], dim=1),
        tuple(part.ids for part in parts),
        sum(part.tokens for part in parts),
        " … ".join(part.cut for part in parts if part.cut) or None,
    )


def _encode_words(pipeline: Any, device: torch.device, text: str) -> EncodedText:
    ids = pipeline.tokenizer(text, truncation=False, verbose=False).input_ids
    embeddings, _ = pipeline.encode_prompt(text, device, 1, do_classifier_free_guidance=False)
    seen, cut = _seen(pipeline.tokenizer, ids)
    return EncodedText(embeddings, seen, len(ids), cut)


def _encode_part(pipeline: Any, device: torch.device, part: Part) -> EncodedText:
    if all(fragment.weight == 1 for fragment in part):
        return _encode_words(pipeline, device, "".join(fragment.text for fragment in part))
    # It brings a parser of another syntax, which few texts need.
    from compel import EmbeddingsProvider

    dtype = pipeline.text_encoder.dtype
    provider = EmbeddingsProvider(
        pipeline.tokenizer, pipeline.text_encoder, dtype_for_device_getter=lambda _: dtype, device=device
    )
    with torch.inference_mode():
        embeddings = provider.get_embeddings_for_weighted_prompt_fragments(
            [[fragment.text for fragment in part]], [[fragment.weight for fragment in part]], device=device
        )
    ids, weighed = _ids(pipeline.tokenizer, part)
    seen, cut = _seen(pipeline.tokenizer, ids)
    return EncodedText(embeddings.to(dtype), (seen, weighed), len(ids), cut)


def _ids(tokenizer: Any, part: Part) -> tuple[list[int], tuple[float, ...]]:
    """Return the part's tokens, fragment by fragment as they are encoded, with start and end, and their weights."""
    own = [(tokenizer(fragment.text, truncation=False, verbose=False).input_ids[1:-1], fragment) for fragment in part]
    ids = [tokenizer.bos_token_id, *(number for numbers, _ in own for number in numbers), tokenizer.eos_token_id]
    return ids, tuple(fragment.weight for numbers, fragment in own for _ in numbers)


def _seen(tokenizer: Any, ids: list[int]) -> tuple[tuple[int, ...], str | None]:
    """Return the tokens that the encoder sees, and the words that are cut off."""
    limit = tokenizer.model_max_length
    # The last place belongs to the end token, in the cut sequence as in the whole one.
    cut = tokenizer.decode(ids[limit - 1 : -1]).strip() if len(ids) > limit else None
    return tuple(ids[: limit - 1]), cut
