"""The form that torch has recorded once, so that Python takes no part in a pass.

Small pictures gain by it: a pass of the demo takes 0.62 to 0.92 of the time on a CPU, to the bit. The weights are not
copied.
"""

import warnings
from collections import OrderedDict

import torch
from torch import Tensor, nn

from worker.engine.denoising.form import Form, Pass

#: Recordings that are kept, one for each shape of a pass: texts of another length are another shape.
_KEPT = 4


class Traced(Form):
    """A recording for each shape."""

    name = "traced"
    expected_s = 0.3

    def __init__(self) -> None:
        self._recordings: OrderedDict[object, Pass] = OrderedDict()

    def prepare(self, unet: nn.Module, usual: Pass, sample: Tensor, step: Tensor, texts: Tensor) -> None:
        """Record a pass of a shape that was not recorded."""
        shape = _shape(sample, step, texts)
        if shape in self._recordings:
            self._recordings.move_to_end(shape)
            return
        if len(self._recordings) == _KEPT:
            self._recordings.popitem(last=False)
        # A recording holds the weights themselves, and cannot hold what gradients are wanted of. Recorded as a module,
        # each layer would first be compiled, which takes longer than the pass.
        unet.requires_grad_(requires_grad=False)
        with warnings.catch_warnings():
            # Of what depends on the shape, for which there is a recording each; and that torch has newer ways.
            warnings.simplefilter("ignore")
            recorded = torch.jit.trace(usual, (sample, step, texts), check_trace=False)  # type: ignore[no-untyped-call]
        self._recordings[shape] = recorded

    def run(self, usual: Pass, sample: Tensor, step: Tensor, texts: Tensor) -> Tensor:
        """Play the recording."""
        return self._recordings[_shape(sample, step, texts)](sample, step, texts)


def _shape(*given: Tensor) -> object:
    return tuple((each.shape, each.dtype) for each in given)
