"""Forms in which attention is computed otherwise than by torch's fused kernels.

On Metal those take few sizes of heads, and Stable Diffusion 1.5 has others: 40 and 160 take the general path there,
which was half as fast as products and a softmax on an M3 Ultra (https://github.com/pytorch/pytorch/pull/178545).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from worker.engine.denoising.form import Form, Pass

#: Sizes of heads that Metal's fused kernels take (torch 2.13).
_HEADS = 32, 64, 72, 80, 96, 128, 256
#: Queries that are looked at together: all of a large picture with all of its keys may not fit into memory.
_QUERIES = 1024

_Attention = Callable[[Tensor, Tensor, Tensor], Tensor]


class _Instead(TorchFunctionMode):
    """Has attention without a mask, which is all that a UNet needs, be computed by a function of ours."""

    def __init__(self, attention: _Attention) -> None:
        super().__init__()
        self._attention = attention

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call what torch was about to call, or ours."""
        options = kwargs or {}
        if func is functional.scaled_dot_product_attention and options.get("attn_mask") is None:
            return self._attention(*args[:3], *(options[name] for name in ("query", "key", "value") if name in options))
        return func(*args, **options)


class PaddedAttention(Form):
    """Fused, with heads that are filled up with zeros to a size that the kernels take."""

    name = "padded attention"

    def run(self, usual: Pass, sample: Tensor, step: Tensor, texts: Tensor) -> Tensor:
        """Run with it."""
        with _Instead(_padded):
            return usual(sample, step, texts)


class UnfusedAttention(Form):
    """Matrix products and a softmax, with a part of the queries at a time."""

    name = "unfused attention"

    def run(self, usual: Pass, sample: Tensor, step: Tensor, texts: Tensor) -> Tensor:
        """Run with it."""
        with _Instead(_unfused):
            return usual(sample, step, texts)


def _padded(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    size = query.shape[-1]
    room = next((head for head in _HEADS if head >= size), size) - size
    query, key, value = (functional.pad(each, (0, room)) for each in (query, key, value))
    return functional.scaled_dot_product_attention(query, key, value, scale=size**-0.5)[..., :size]


def _unfused(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    # Scaled first: products of float16 would overflow.
    keys = (key * key.shape[-1] ** -0.5).transpose(-2, -1)
    parts = [torch.softmax(part @ keys, dim=-1) @ value for part in torch.split(query, _QUERIES, dim=-2)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-2)
