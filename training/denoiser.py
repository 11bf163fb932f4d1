"""The denoiser: learns to predict v from noisy latents and captions, then to stand the usual strength of guidance."""

import copy
from collections.abc import Iterator
from typing import Final

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.autoencoder import LATENT_CHANNELS
from training.captions import NO_COLOUR, NO_KIND
from training.descent import descend
from training.text import WIDTH

STEPS: Final = 8_000
GUIDED_STEPS: Final = 1_500
_BATCH: Final = 32
#: Of the trained conditional part that guidance 7.5 brings in after `guide`.
STRENGTH: Final = 2.0
GUIDANCE: Final = 7.5
#: Shares of captions that are empty, that name the colour alone, and the kind alone.
_EMPTY, _COLOUR_ALONE, _KIND_ALONE = 0.12, 0.05, 0.05


class Latents:
    """Latents of drawn pictures, and captions' embeddings to go with their colours and kinds."""

    def __init__(self, latents: Tensor, colours: Tensor, kinds: Tensor, embeddings: Tensor) -> None:
        """Take latents (n, 8, 16, 16), labels (n,), and embeddings (13, 5, m, 77, 64): m captions of each label."""
        self._latents, self._colours, self._kinds, self._embeddings = latents, colours, kinds, embeddings

    @property
    def empty(self) -> Tensor:
        """The embedding of the empty prompt: (1, 77, 64)."""
        return self._embeddings[NO_COLOUR, NO_KIND, :1].float()

    def batch(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return latents and embeddings of captions that fit them."""
        picked = torch.randint(len(self._latents), (_BATCH,), generator=generator)
        chance = torch.rand(_BATCH, generator=generator)
        empty = chance < _EMPTY
        no_colour = chance < _EMPTY + _KIND_ALONE
        no_kind = empty | ((chance > _EMPTY + _KIND_ALONE) & (chance < _EMPTY + _KIND_ALONE + _COLOUR_ALONE))
        colours = self._colours[picked].masked_fill(no_colour, NO_COLOUR)
        kinds = self._kinds[picked].masked_fill(no_kind, NO_KIND)
        captions = torch.randint(self._embeddings.shape[2], (_BATCH,), generator=generator)
        return self._latents[picked], self._embeddings[colours, kinds, captions].float()


def noise_schedule() -> DDPMScheduler:
    """Return the schedule of the noise; it ends nearly without signal, which 16x16 latents need."""
    return DDPMScheduler(
        beta_start=0.00085, beta_end=0.02, beta_schedule="scaled_linear", prediction_type="v_prediction"
    )


def build() -> UNet2DConditionModel:
    """Return an untrained denoiser."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(64, 80, 80),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=8,
    )


def train(model: UNet2DConditionModel, data: Latents, generator: torch.Generator) -> Iterator[float]:
    """Train `model` in place; yields the loss of each of `STEPS` steps. What is left is the running mean of weights."""
    schedule = noise_schedule()
    mean = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.998))
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.01, betas=(0.9, 0.99), fused=True)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=1.2e-3, total_steps=STEPS, pct_start=0.03)
    for _ in range(STEPS):
        latents, embeddings = data.batch(generator)
        noisy, times, target = _noised(schedule, latents, generator)
        loss = (model(noisy, times, embeddings).sample - target).square().mean()
        yield descend(loss, optimiser, rate)
        mean.update_parameters(model)
    model.load_state_dict(mean.module.state_dict())


def guide(model: UNet2DConditionModel, empty: Tensor, data: Latents, generator: torch.Generator) -> Iterator[float]:
    """Train `model` in place to give at guidance 7.5 what it gave at `STRENGTH`; yields each step's loss.

    Colour and kind are nearly all that there is to a drawing, so what a caption adds to the prediction is far more than
    in Stable Diffusion, and its usual guidance over-drives it. It learns to add `STRENGTH / GUIDANCE` of that:
    a distillation, in which `empty` (1, 77, 64) is the embedding of the empty prompt. The loss is of the guided
    prediction and of the empty prompt's, since guidance makes 7.5 times as much of an error in what a caption adds.
    """
    teacher = copy.deepcopy(model)
    schedule = noise_schedule()
    mean = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.99))
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.0, betas=(0.9, 0.99), fused=True)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=5e-4, total_steps=GUIDED_STEPS, pct_start=0.1)
    for _ in range(GUIDED_STEPS):
        latents, embeddings = data.batch(generator)
        noisy, times, _ = _noised(schedule, latents, generator)
        inputs = noisy.repeat(2, 1, 1, 1), times.repeat(2), torch.cat([empty.expand_as(embeddings), embeddings])
        with torch.no_grad():
            taught_free, taught = _guided(teacher, inputs, STRENGTH)
        free, guided = _guided(model, inputs, GUIDANCE)
        loss = (free - taught_free).square().mean() + (guided - taught).square().mean()
        yield descend(loss, optimiser, rate)
        mean.update_parameters(model)
    model.load_state_dict(mean.module.state_dict())


def _guided(
    model: UNet2DConditionModel, inputs: tuple[Tensor, Tensor, Tensor], guidance: float
) -> tuple[Tensor, Tensor]:
    """Return the prediction for the empty prompt and the guided one; `inputs` are for empty prompts, then for captions.

    Classifier-free guidance of Ho and Salimans 2022, arXiv:2207.12598, in the form that diffusers has.
    """
    free, bound = model(*inputs).sample.chunk(2)
    return free, free + guidance * (bound - free)


def _noised(schedule: DDPMScheduler, latents: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return latents with noise, the times that say how much, and the v to predict."""
    noise = torch.randn(latents.shape, generator=generator)
    times = torch.randint(schedule.config.num_train_timesteps, (len(latents),), generator=generator)
    return schedule.add_noise(latents, noise, times), times, schedule.get_velocity(latents, noise, times)
