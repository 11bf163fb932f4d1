"""What the text encoder makes of a text, kept for the texts that come again."""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch

#: Texts kept, the ones used last: of SD 1.5 they take 118 KB each in float16, 236 KB in float32.
_MOST = 64


@dataclass(frozen=True)
class EncodedText:
    """A text as the denoiser takes it, 1 x 77 x 768 for SD 1.5, and how much of it the encoder saw."""

    embeddings: torch.Tensor
    #: The tokens that the encoder saw.
    ids: tuple[int, ...]
    #: With start and end token, and those that were cut off.
    tokens: int
    #: The end of the text that was cut off, None if nothing was.
    cut: str | None


class PromptEmbeddings:
    """Encodes texts with a loaded pipeline; most of a batch share their negative prompt, many their prompt too.

    A text's embeddings do not depend on whether it is a prompt or a negative prompt, nor on any other text.
    """

    def __init__(self, pipeline: Any, device: torch.device) -> None:
        # Over a function and not a method: a circle would keep the weights in memory when they are to make room.
        self.of = lru_cache(maxsize=_MOST)(partial(_encode, pipeline, device))


def _encode(pipeline: Any, device: torch.device, text: str) -> EncodedText:
    ids = pipeline.tokenizer(text, truncation=False, verbose=False).input_ids
    limit = pipeline.tokenizer.model_max_length
    # The last place belongs to the end token, in the cut sequence as in the whole one.
    cut = pipeline.tokenizer.decode(ids[limit - 1 : -1]).strip() if len(ids) > limit else None
    embeddings, _ = pipeline.encode_prompt(text, device, 1, do_classifier_free_guidance=False)
    return EncodedText(embeddings, tuple(ids[: limit - 1]), len(ids), cut)
