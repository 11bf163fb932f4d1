"""The steps of a training, which can stop after any of them and go on later as if nothing had been."""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from models.training.config import TrainingConfig
from worker.engine.training.adapters import Adapters
from worker.engine.training.examples import EncodedExamples
from worker.engine.training.parts import Parts

#: The share of the rate that is left at the end of a cosine.
_LEAST = 0.05


@dataclass(frozen=True)
class StepFigures:
    """What a step was like."""

    #: 1 for the first.
    step: int
    loss: float
    learning_rate: float


class NotFiniteError(Exception):
    """The loss of a step is not finite: nothing that was learnt since the last state is worth keeping."""


class Trainer:
    """Trains the changes of one LoRA.

    All that it draws comes from generators of its own on the CPU, so that each device learns from the same noise; only
    dropout is drawn where it is needed. On a CPU the same number of threads gives the same weights to the bit.
    """

    def __init__(self, parts: Parts, examples: EncodedExamples, config: TrainingConfig) -> None:
        """Begin a training; `resume` goes on with one."""
        self._parts = parts
        self._examples = examples
        self._config = config
        torch.manual_seed(config.seed)
        self.adapters = Adapters(parts, config)
        rates = {"unet": config.learning_rate, "text_encoder": config.text_encoder_lr or config.learning_rate}
        groups = [{"params": self.adapters.parameters(part), "lr": rate} for part, rate in rates.items()]
        self._optimizer = AdamW([group for group in groups if group["params"]], weight_decay=config.weight_decay)
        self._rates = LambdaLR(self._optimizer, lambda step: _share(step, config))
        self._draws = torch.Generator().manual_seed(config.seed)
        #: Numbers of the examples that are left of this pass through all of them.
        self._left: list[int] = []
        self.step = 0
        self._embeddings = None if config.train_text_encoder else self._all_embeddings()
        if config.gradient_checkpointing:
            parts.unet.enable_gradient_checkpointing()

    def train(self, until: int, each: Callable[[StepFigures], None] = lambda _: None) -> None:
        """Take steps until so many were taken in all, and tell `each` of each.

        Raises:
            NotFiniteError: the loss is not; the changes are what they were before the step.
        """
        self.adapters.set_training(on=True)
        try:
            while self.step < until:
                each(self._take_step())
        finally:
            self.adapters.set_training(on=False)

    def state(self) -> bytes:
        """Return all that another process needs to go on with the next step."""
        written = io.BytesIO()
        torch.save(
            {
                "step": self.step,
                "left": self._left,
                "draws": self._draws.get_state(),
                "dropout": torch.get_rng_state(),
                "adapters": self.adapters.tensors(),
                "optimizer": self._optimizer.state_dict(),
                "rates": {key: value for key, value in self._rates.state_dict().items() if key != "lr_lambdas"},
            },
            written,
        )
        return written.getvalue()

    def resume(self, state: bytes) -> None:
        """Go on from a state of the same training."""
        found: dict[str, Any] = torch.load(io.BytesIO(state), weights_only=True)
        self.adapters.put(found["adapters"])
        self._optimizer.load_state_dict(found["optimizer"])
        self._rates.load_state_dict({**self._rates.state_dict(), **found["rates"]})
        self._draws.set_state(found["draws"])
        torch.set_rng_state(found["dropout"])
        self.step, self._left = found["step"], list(found["left"])

    def _take_step(self) -> StepFigures:
        config = self._config
        total = 0.0
        for _ in range(config.gradient_accumulation_steps):
            loss = self._loss(self._next(config.train_batch_size)) / config.gradient_accumulation_steps
            if not math.isfinite(value := float(loss.detach())):
                self._optimizer.zero_grad(set_to_none=True)
                raise NotFiniteError(f"the loss of step {self.step + 1} is {value}")
            total += value
            loss.backward()  # type: ignore[no-untyped-call]
        trained = [parameter for group in self._optimizer.param_groups for parameter in group["params"]]
        torch.nn.utils.clip_grad_norm_(trained, config.max_grad_norm)
        rate = float(self._optimizer.param_groups[0]["lr"])
        self._optimizer.step()
        self._rates.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return StepFigures(self.step, total, rate)

    def _next(self, count: int) -> list[int]:
        """Return the numbers of the next examples; a pass has all of them, in an order of its own."""
        while len(self._left) < count:
            order = torch.randperm(len(self._examples.places), generator=self._draws).tolist()
            self._left += [self._examples.places[place] for place in order]
        taken, self._left = self._left[:count], self._left[count:]
        return taken

    def _loss(self, numbers: list[int]) -> Tensor:
        """Return the mean squared error of what the UNet says of examples with noise, (), in float32."""
        config, noise_of = self._config, self._parts.noise
        latents = self._latents(numbers)
        noise = self._normal(latents.shape)
        if config.noise_offset:
            noise = noise + config.noise_offset * self._normal((*latents.shape[:2], 1, 1))
        steps = noise_of.config["num_train_timesteps"]
        times = torch.randint(steps, (len(numbers),), generator=self._draws)
        noisy = noise_of.add_noise(latents, noise, times)
        wanted = noise_of.get_velocity(latents, noise, times) if self._is_of_velocity() else noise
        told = self._told(numbers)
        device, dtype = self._parts.device, self._parts.unet.dtype
        said = self._parts.unet(noisy.to(device, dtype), times.to(device), told).sample
        errors = functional.mse_loss(said.float(), wanted.to(device), reduction="none").mean(dim=(1, 2, 3))
        return (errors * self._weights(times).to(device)).mean()

    def _latents(self, numbers: list[int]) -> Tensor:
        latents = self._examples.latents[numbers]
        if self._examples.mirrored is not None:
            which = torch.rand(len(numbers), generator=self._draws) < 0.5
            latents = torch.where(which[:, None, None, None], self._examples.mirrored[numbers], latents)
        return latents

    def _told(self, numbers: list[int]) -> Tensor:
        """Return what the UNet is told of the examples; of some nothing, where the configuration says so."""
        without = torch.zeros(len(numbers), dtype=torch.bool)
        if self._config.caption_dropout:
            without = torch.rand(len(numbers), generator=self._draws) < self._config.caption_dropout
        if self._embeddings is not None:
            places = torch.tensor(numbers).masked_fill(without, len(self._examples))
            return self._embeddings[places.to(self._embeddings.device)]
        tokens = torch.where(without[:, None], self._examples.no_tokens, self._examples.tokens[numbers])
        return self._parts.embeddings(tokens)

    def _all_embeddings(self) -> Tensor:
        """Return those of all captions, and of none as the last: they never change."""
        tokens = torch.cat([self._examples.tokens, self._examples.no_tokens])
        with torch.no_grad():
            return torch.cat([self._parts.embeddings(one[None]) for one in tokens])

    def _normal(self, shape: tuple[int, ...] | torch.Size) -> Tensor:
        return torch.randn(shape, generator=self._draws)

    def _is_of_velocity(self) -> bool:
        return bool(self._parts.noise.config["prediction_type"] == "v_prediction")

    def _weights(self, times: Tensor) -> Tensor:
        """Return how much each example counts: min-SNR, equations 5 and 8 of arXiv 2303.09556, or 1."""
        if self._config.snr_gamma is None:
            return torch.ones(len(times))
        kept = self._parts.noise.alphas_cumprod[times]
        ratio = kept / (1 - kept)
        bounded = ratio.clamp(max=self._config.snr_gamma)
        weights: Tensor = bounded / (ratio + 1) if self._is_of_velocity() else bounded / ratio
        return weights


def _share(step: int, config: TrainingConfig) -> float:
    """Return the share of the learning rate that a step has; the first one is 0."""
    if step < config.lr_warmup_steps:
        return (step + 1) / (config.lr_warmup_steps + 1)
    if config.lr_scheduler == "constant":
        return 1.0
    done = (step - config.lr_warmup_steps) / max(1, config.max_train_steps - config.lr_warmup_steps)
    return _LEAST + (1 - _LEAST) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
