"""The form with the channels last in memory, which convolutions of some GPUs take to their matrix units as they are."""

import torch
from torch import Tensor, nn

from worker.engine.denoising.form import Form, Pass


class ChannelsLast(Form):
    """The same weights in another order; only the order changes when it is entered and left."""

    name = "channels last"

    def enter(self, unet: nn.Module) -> None:
        """Bring the weights into that order."""
        unet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def leave(self, unet: nn.Module) -> None:
        """Bring them back."""
        unet.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]

    def run(self, usual: Pass, sample: Tensor, step: Tensor, texts: Tensor) -> Tensor:
        """Run with latents in that order too."""
        made = usual(sample.contiguous(memory_format=torch.channels_last), step, texts)
        return made.contiguous(memory_format=torch.contiguous_format)
