"""Encoding a text with one CLIP text encoder, with A1111's weights and BREAK."""

from typing import Any

import torch

from models.types.prompt_syntax import Part, has_syntax, parse_prompt
from worker.engine.making.prompt_embeddings import EncodedText


def encode(pipeline: Any, device: torch.device, weights: bool, text: str) -> EncodedText:
    """Return what the pipeline's text encoder makes of the text; with `weights` its syntax counts, else it is words."""
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
