"""What the text encoder makes of a text, kept for the texts that come again."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache

import torch

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

    def __init__(self, encode: Callable[[str], EncodedText]) -> None:
        """Have texts encoded by `encode`."""
        # Over a function and not a method: a circle would keep the weights in memory when they are to make room.
        self.of = lru_cache(maxsize=_MOST)(encode)

    def forget(self) -> None:
        """Encode all texts anew: the encoder is another."""
        self.of.cache_clear()

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
