"""What a form of a UNet is: another way to compute the same pass."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn

#: A pass: latents, step and texts, one row of latents and texts for each prompt; returns the noise in each row.
Pass = Callable[[Tensor, Tensor, Tensor], Tensor]


class Form(ABC):
    """Belongs to one UNet; all but one form are not in use at any time."""

    #: As files, rows and people name it.
    name: ClassVar[str]
    #: About how many seconds it takes to make it ready for passes of one shape, before that was measured.
    expected_s: ClassVar[float] = 0.0

    def enter(self, unet: nn.Module) -> None:  # noqa: B027 - most change nothing
        """Change what the form needs to have changed before a pass."""

    def leave(self, unet: nn.Module) -> None:  # noqa: B027
        """Put it back as it was."""

    def prepare(self, unet: nn.Module, usual: Pass, sample: Tensor, step: Tensor, texts: Tensor) -> None:  # noqa: B027
        """Do what it takes before the first pass of this shape, and nothing before the next."""

    @abstractmethod
    def run(self, usual: Pass, sample: Tensor, step: Tensor, texts: Tensor) -> Tensor:
        """Return what `usual` would."""
