"""The measure of kind: a small classifier that has seen drawings alone, never a generated picture."""

from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.descent import descend
from training.palette import KINDS
from training.pictures import Pictures

STEPS: Final = 600
_BATCH: Final = 64


def build() -> nn.Module:
    """Return an untrained classifier: grey (n, 1, 64, 64) from -1 to 1 in, a score a kind out."""
    return nn.Sequential(
        *(nn.Conv2d(1, 24, 5, stride=2, padding=2), nn.BatchNorm2d(24), nn.ReLU()),
        *(nn.Conv2d(24, 48, 3, stride=2, padding=1), nn.BatchNorm2d(48), nn.ReLU()),
        *(nn.Conv2d(48, 64, 3, stride=2, padding=1), nn.BatchNorm2d(64), nn.ReLU()),
        *(nn.Conv2d(64, 64, 3, stride=2, padding=1), nn.BatchNorm2d(64), nn.ReLU()),
        *(nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 4 * 4, len(KINDS))),
    )


def train(model: nn.Module, pictures: Pictures, generator: torch.Generator) -> Iterator[float]:
    """Train `model` in place; yields the share of drawings told right at each of `STEPS` steps.

    Blur, noise and changed contrast keep it to the form: a generated picture is never as sharp as a drawing.
    """
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.05, fused=True)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=2e-3, total_steps=STEPS)
    for _ in range(STEPS):
        indices = torch.randint(len(pictures), (_BATCH,), generator=generator)
        wanted = pictures.kinds[indices]
        scores = model(_spoilt(_grey(pictures.scaled(indices)), generator))
        descend(functional.cross_entropy(scores, wanted), optimiser, rate)
        yield (scores.argmax(1) == wanted).float().mean().item()


@torch.inference_mode()
def drawn_kinds(model: nn.Module, pictures: Tensor) -> Tensor:
    """Return the places in `KINDS` of pictures (n, 3, 128, 128) from -1 to 1."""
    return model.eval()(_grey(pictures)).argmax(1)


def _grey(pictures: Tensor) -> Tensor:
    return functional.avg_pool2d(pictures.mean(1, keepdim=True), 2)


def _spoilt(grey: Tensor, generator: torch.Generator) -> Tensor:
    shape = (len(grey), 1, 1, 1)
    blurred = functional.avg_pool2d(grey, 3, stride=1, padding=1, count_include_pad=False)
    share = torch.rand(shape, generator=generator)
    contrast = 0.5 + torch.rand(shape, generator=generator)
    noise = 0.15 * torch.rand(shape, generator=generator) * torch.randn(grey.shape, generator=generator)
    # White stays white whatever the contrast.
    return 1 - contrast * (1 - torch.lerp(grey, blurred, share)) + noise
