"""Large weights in the order in which oneDNN computes with them on a CPU, instead of the one in which torch keeps them.

torch has oneDNN bring the weights of each convolution into that order in every pass, and multiplies matrices by another
library. With Stable Diffusion 1.5's architecture, of 3.4 GB, a pass at 256x256 takes 0.6 to 0.8 of the time where they
stay in it (two threads, in turn). The order depends on the size of what goes through a layer; the rows of one guided
picture are taken for it, so that a picture is the same to the bit in any company.

The operators are those that torch's own compiler calls (torch/_inductor/mkldnn_lowerings.py).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

#: Weights of a layer from which on it is packed: those of less stay in a processor's caches from pass to pass.
FEWEST = 1_500_000
#: Of one guided picture.
_ROWS = 2


class _PackedConvolution(nn.Conv2d):
    packed: "_Packed | None" = None

    def order(self, weight: Tensor, size: torch.Size) -> Tensor:
        """Return a weight in the order for an input of this size, its rows left out."""
        shape = self.padding, self.stride, self.dilation, self.groups
        ordered: Tensor = torch.ops.mkldnn._reorder_convolution_weight(weight, *shape, [_ROWS, *size])
        return ordered

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Convolve."""
        weight, shape = _packed(self, input.shape[1:]), (self.padding, self.stride, self.dilation, self.groups)
        made: Tensor = torch.ops.mkldnn._convolution_pointwise(input, weight, self.bias, *shape, "none", [], "")
        return made


class _PackedProduct(nn.Linear):
    packed: "_Packed | None" = None

    def order(self, weight: Tensor, size: torch.Size) -> Tensor:
        """Return a weight in the order for an input of this size, its rows left out."""
        ordered: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS * size[:-1].numel())
        return ordered

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Multiply."""
        weight = _packed(self, input.shape[1:])
        made: Tensor = torch.ops.mkldnn._linear_pointwise(input, weight, self.bias, "none", [], "")
        return made


#: A layer whose weight is packed with the first pass of a size, and is nowhere else from then on.
PackedLayer = _PackedConvolution | _PackedProduct


@dataclass(frozen=True)
class _Packed:
    weight: Tensor
    #: Of the input that it is in the order for, its rows left out.
    size: torch.Size


def _packed(layer: PackedLayer, size: torch.Size) -> Tensor:
    if layer.packed is None or layer.packed.size != size:
        layer.packed = _Packed(layer.order(weight_of(layer), size), size)
        layer.register_parameter("weight", None)
    return layer.packed.weight


def weight_of(module: nn.Module) -> Tensor:
    """Return a layer's weight, which may be changed in place: what is packed is packed anew with the next pass."""
    if isinstance(module, PackedLayer) and module.packed is not None:
        module.register_parameter("weight", nn.Parameter(module.packed.weight.to_dense(), requires_grad=False))
        module.packed = None
    assert isinstance(module.weight, Tensor)
    return module.weight


def can_pack() -> bool:
    """Tell whether this torch has oneDNN, and the operators that take what it has packed."""
    operators = ("_reorder_convolution_weight", "_convolution_pointwise", "_reorder_linear_weight", "_linear_pointwise")
    has_library = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    return has_library and all(hasattr(torch.ops.mkldnn, name) for name in operators)


def pack(unet: nn.Module, fewest: int = FEWEST) -> int:
    """Have the layers of so many weights be packed from their next pass on, and return how many these are.

    They have to be in float32 on a CPU, and are for inference alone.
    """
    count = 0
    for module in unet.modules():
        if type(module) is nn.Conv2d and module.padding_mode == "zeros" and module.weight.numel() >= fewest:
            module.__class__ = _PackedConvolution
        elif type(module) is nn.Linear and module.weight.numel() >= fewest:
            module.__class__ = _PackedProduct
        else:
            continue
        count += 1
    return count
