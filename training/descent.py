"""One step of gradient descent."""

import torch
from torch import Tensor, nn


def descend(loss: Tensor, optimiser: torch.optim.Optimizer, rate: torch.optim.lr_scheduler.LRScheduler) -> float:
    """Bring the optimiser's weights, and nothing else, one step down; returns the loss as a number."""
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_([p for group in optimiser.param_groups for p in group["params"]], 1.0)
    optimiser.step()
    rate.step()
    return loss.item()
