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
from models.types.causes import Cause
from models.types.errors import NightshiftError
from worker.engine.training.adapters import Adapters
from worker.engine.training.examples import EncodedExamples
from worker.engine.training.parts import Parts

#: The share of the rate that is left at the end of a cosine.
_LEAST = 0.05
#: Times of each held-out picture.
_TIMES = 4


@dataclass(frozen=True)
class StepFigures:
    """What a step was like."""

    #: 1 for the first.
    step: int
    loss: float
    learning_rate: float


class NotFiniteError(NightshiftError):
    """Loss or gradients are not finite: nothing that was learnt since the last state is worth keeping."""

    cause = Cause.NOT_FINITE


class Trainer:
    """Trains the changes of one LoRA.

    All that it draws comes from generators of its own on the CPU, so that each device learns from the same noise; only
    dropout is drawn where it is needed. On a CPU the same number of threads gives the same weights to the bit.
    """

    def __init__(
        self,
        parts: Parts,
        examples: EncodedExamples,
        config: TrainingConfig,
        held_out: EncodedExamples | None = None,
        *,
        rate_share: float = 1.0,
        saves_memory: bool = False,
    ) -> None:
        """Begin a training; `resume` goes on with one.

        Rates are `rate_share` of those of the configuration. To save memory what the way back needs is computed twice.
        """
        self._parts = parts
        self._examples = examples
        self._config = config
        torch.manual_seed(config.seed)
        self.adapters = Adapters(parts, config)
        #: Of torch's own generator, which dropout draws from: what else draws from it between two calls does not count.
        self._dropout = torch.get_rng_state()
        rates = {"unet": config.learning_rate, "text_encoder": config.text_encoder_lr or config.learning_rate}
        groups = [{"params": self.adapters.parameters(part), "lr": rate * rate_share} for part, rate in rates.items()]
        self._optimizer = AdamW([group for group in groups if group["params"]], weight_decay=config.weight_decay)
        self._rates = LambdaLR(self._optimizer, lambda step: _share(step, config))
        self._draws = torch.Generator().manual_seed(config.seed)
        #: Numbers of the examples that are left of this pass through all of them.
        self._left: list[int] = []
        self.step = 0
        self._held_out = held_out
        self._embeddings = None if config.train_text_encoder else self._all_embeddings(examples)
        # In float16 most gradients would be 0: they are computed of a loss that is scaled up, and scaled down again.
        is_half = parts.unet.dtype == torch.float16
        self._scaler = torch.amp.GradScaler(parts.device.type, enabled=is_half)
        self._rate_share = rate_share
        if saves_memory:
            parts.unet.enable_gradient_checkpointing()

    def train(
        self,
        until: int,
        each: Callable[[StepFigures], None] = lambda _: None,
        ends_early: Callable[[], bool] = lambda: False,
        after_batch: Callable[[], None] = lambda: None,
    ) -> None:
        """Take steps until so many were taken in all, or it is to end early, and tell `each` of each.

        `after_batch` is called after each batch of a step, which takes a CPU a minute where pictures are large.

        Raises:
            NotFiniteError: the loss is not, or gradients are not however little it is scaled; the changes are what they
                were before the step.
            Whatever `after_batch` raises; the same.
        """
        self.adapters.set_training(on=True)
        torch.set_rng_state(self._dropout)
        try:
            while self.step < until and not ends_early():
                each(self._take_step(after_batch))
        finally:
            self._dropout = torch.get_rng_state()
            self.adapters.set_training(on=False)

    @torch.no_grad()
    def held_out_loss(self, each: Callable[[], None] = lambda: None) -> float | None:
        """Return the mean loss of the pictures that are held out; None where none are.

        Noise and times are the same whenever it is asked, and times are spread evenly, so that two such losses differ
        by what was learnt between them alone. `each` is called after each picture.
        """
        examples = self._held_out
        if examples is None:
            return None
        draws = torch.Generator().manual_seed(self._config.seed)
        number_of_times = self._parts.noise.config["num_train_timesteps"]
        times = torch.linspace(0, number_of_times - 1, 2 * _TIMES + 1)[1::2].long()
        total = 0.0
        for number in range(len(examples)):
            latents = examples.latents[number].expand(_TIMES, -1, -1, -1)
            noise = torch.randn(latents.shape, generator=draws)
            told = self._parts.embeddings(examples.tokens[[number]]).expand(_TIMES, -1, -1)
            total += float(self._errors(latents, noise, times, told).mean())
            each()
        return total / len(examples)

    def state(self) -> bytes:
        """Return all that another process needs to go on with the next step."""
        written = io.BytesIO()
        torch.save(
            {
                "step": self.step,
                "left": self._left,
                "draws": self._draws.get_state(),
                "dropout": self._dropout,
                "adapters": self.adapters.tensors(),
                "optimizer": self._optimizer.state_dict(),
                "rates": {key: value for key, value in self._rates.state_dict().items() if key != "lr_lambdas"},
                "scaler": self._scaler.state_dict(),
                "rate_share": self._rate_share,
            },
            written,
        )
        return written.getvalue()

    def resume(self, state: bytes) -> None:
        """Go on from a state of the same training."""
        found: dict[str, Any] = torch.load(io.BytesIO(state), weights_only=True)
        self.adapters.put(found["adapters"])
        self._optimizer.load_state_dict(found["optimizer"])
        rates = {**self._rates.state_dict(), **found["rates"]}
        if found["rate_share"] != self._rate_share:
            # Since then the rates were changed: theirs are what counts, not those of the state.
            changed = self._rate_share / found["rate_share"]
            rates["base_lrs"] = [rate * changed for rate in rates["base_lrs"]]
            for group in self._optimizer.param_groups:
                group["lr"], group["initial_lr"] = group["lr"] * changed, group["initial_lr"] * changed
        self._rates.load_state_dict(rates)
        self._scaler.load_state_dict(found["scaler"])
        self._draws.set_state(found["draws"])
        self._dropout = found["dropout"]
        self.step, self._left = found["step"], list(found["left"])

    def _take_step(self, after_batch: Callable[[], None]) -> StepFigures:
        config = self._config
        total = 0.0
        for _ in range(config.gradient_accumulation_steps):
            loss = self._loss(self._next(config.train_batch_size)) / config.gradient_accumulation_steps
            if not math.isfinite(value := float(loss.detach())):
                self._optimizer.zero_grad(set_to_none=True)
                raise NotFiniteError(f"the loss of step {self.step + 1} is {value}")
            total += value
            self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            after_batch()
        trained = [parameter for group in self._optimizer.param_groups for parameter in group["params"]]
        self._scaler.unscale_(self._optimizer)
        torch.nn.utils.clip_grad_norm_(trained, config.max_grad_norm)
        rate = float(self._optimizer.param_groups[0]["lr"])
        scale = self._scaler.get_scale()
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
        # What overflowed changes nothing, and the rate waits for it; the next loss is scaled up by half of that.
        if self._scaler.get_scale() >= scale:
            self._rates.step()
        elif scale <= 1:
            raise NotFiniteError(f"the gradients of step {self.step + 1} are not finite, without any scale either")
        self.step += 1
        return StepFigures(self.step, total, rate)

    def _next(self, count: int) -> list[int]:
        """Return the numbers of the next examples; a pass has all of them, in an order of its own.

        They are as large as the one whose turn it is: pictures of several sizes do not go through the UNet together.
        """
        if not self._left:
            self._begin_pass()
        shape = self._examples.latents[self._left[0]].shape
        while len(taken := self._of_shape(shape)[:count]) < count:
            self._begin_pass()
        numbers, gone = [self._left[place] for place in taken], set(taken)
        self._left = [number for place, number in enumerate(self._left) if place not in gone]
        return numbers

    def _of_shape(self, shape: torch.Size) -> list[int]:
        """Return the places of those that are left of the pass and as large as that."""
        return [place for place, number in enumerate(self._left) if self._examples.latents[number].shape == shape]

    def _begin_pass(self) -> None:
        order = torch.randperm(len(self._examples.places), generator=self._draws).tolist()
        self._left += [self._examples.places[place] for place in order]

    def _loss(self, numbers: list[int]) -> Tensor:
        """Return the mean squared error of what the UNet says of examples with noise, (), in float32."""
        config, noise_of = self._config, self._parts.noise
        latents = self._latents(numbers)
        noise = self._normal(latents.shape)
        if config.noise_offset:
            noise = noise + config.noise_offset * self._normal((*latents.shape[:2], 1, 1))
        steps = noise_of.config["num_train_timesteps"]
        times = torch.randint(steps, (len(numbers),), generator=self._draws)
        errors = self._errors(latents, noise, times, self._told(numbers))
        return (errors * self._weights(times).to(errors.device)).mean()

    def _errors(self, latents: Tensor, noise: Tensor, times: Tensor, told: Tensor) -> Tensor:
        """Return the mean squared error of each example, in float32."""
        noise_of = self._parts.noise
        noisy = noise_of.add_noise(latents, noise, times)
        wanted = noise_of.get_velocity(latents, noise, times) if self._is_of_velocity() else noise
        device, dtype = self._parts.device, self._parts.unet.dtype
        with self._autocast():
            said = self._parts.unet(noisy.to(device, dtype), times.to(device), told).sample
        return functional.mse_loss(said.float(), wanted.to(device), reduction="none").mean(dim=(1, 2, 3))

    def _latents(self, numbers: list[int]) -> Tensor:
        latents = torch.stack([self._examples.latents[number] for number in numbers])
        if self._examples.mirrored is not None:
            which = torch.rand(len(numbers), generator=self._draws) < 0.5
            mirrored = torch.stack([self._examples.mirrored[number] for number in numbers])
            latents = torch.where(which[:, None, None, None], mirrored, latents)
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
        with self._autocast():
            return self._parts.embeddings(tokens)

    def _all_embeddings(self, examples: EncodedExamples) -> Tensor:
        """Return those of all captions, and of none as the last: they never change."""
        tokens = torch.cat([examples.tokens, examples.no_tokens])
        with torch.no_grad():
            return torch.cat([self._parts.embeddings(one[None]) for one in tokens])

    def _autocast(self) -> torch.autocast:
        """Have what is trained, in float32, meet weights that are not."""
        dtype = self._parts.unet.dtype
        return torch.autocast(self._parts.device.type, dtype, enabled=dtype != torch.float32)

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
