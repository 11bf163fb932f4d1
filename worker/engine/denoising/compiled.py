"""The form whose transformer blocks, most of a pass, torch compiles for the device."""

from typing import Any

import torch
from torch import Tensor, nn

from worker.engine.denoising.form import Form, Pass


class Compiled(Form):
    """Each kind of block is compiled once for all that are alike, as diffusers has it."""

    name = "compiled"
    expected_s = 60.0
    _mode: str | None = None

    def __init__(self, **options: Any) -> None:
        """Have torch compile with these options."""
        self._options = {"mode": self._mode} | options
        self._compiled: dict[nn.Module, Any] = {}
        self._shapes: set[object] = set()

    def enter(self, unet: nn.Module) -> None:
        """Put the compiled blocks in."""
        if not self._compiled:
            unet.compile_repeated_blocks(**self._options)  # type: ignore[operator]
            blocks = [each for each in unet.modules() if each._compiled_call_impl is not None]
            self._compiled = {block: block._compiled_call_impl for block in blocks}
        for block, call in self._compiled.items():
            block._compiled_call_impl = call

    def leave(self, unet: nn.Module) -> None:
        """Take them out."""
        for block in self._compiled:
            block._compiled_call_impl = None

    def prepare(self, unet: nn.Module, usual: Pass, sample: Tensor, step: Tensor, texts: Tensor) -> None:
        """Compile with a first pass."""
        shape = sample.shape, texts.shape
        if shape not in self._shapes:
            self.run(usual, sample, step, texts)
            self._shapes.add(shape)

    def run(self, usual: Pass, sample: Tensor, step: Tensor, texts: Tensor) -> Tensor:
        """Run with them."""
        return usual(sample, step, texts)


class CompiledIntoGraphs(Compiled):
    """The same, with what the blocks do recorded as CUDA graphs, which saves the launch of each kernel."""

    name = "compiled into graphs"
    _mode = "reduce-overhead"

    def run(self, usual: Pass, sample: Tensor, step: Tensor, texts: Tensor) -> Tensor:
        """Run with them; the memory of the pass before is free for this one, so what it made is copied out."""
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return super().run(usual, sample, step, texts).clone()
