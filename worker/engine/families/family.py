"""What a family of checkpoints has of its own: how it is read, how texts are encoded, how pictures are made."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from models.settings import Settings
from models.types.job import JobSpec
from worker.engine.checkpoints.local_checkpoint import LocalCheckpoint
from worker.engine.denoising.denoiser import Denoiser
from worker.engine.devices.device import Device
from worker.engine.making.prompt_embeddings import EncodedText


class Family(ABC):
    """Works on a pipeline of diffusers that it has read itself."""

    @abstractmethod
    def read(self, checkpoint: LocalCheckpoint, dtype: torch.dtype, settings: Settings) -> Any:
        """Return the checkpoint as a pipeline; safetensors only, and never code from the checkpoint.

        Raises:
            CheckpointError: if it is of another family, or some of its files are missing, broken, or do not match.
        """

    @abstractmethod
    def require_usable(self, checkpoint: LocalCheckpoint, pipeline: Any, settings: Settings) -> None:
        """Refuse a pipeline that would fail with each job, or make something else than was asked for.

        Raises:
            CheckpointError: saying why.
        """

    @abstractmethod
    def denoiser(self, pipeline: Any, device: Device) -> Denoiser:
        """Have a usable pipeline denoise by what this returns, which gives each picture what it gets alone."""

    @abstractmethod
    def lora_parts(self, pipeline: Any) -> Mapping[str, nn.Module]:
        """Return the parts that a LoRA may change, as its file calls them."""

    @abstractmethod
    def encoder(self, pipeline: Any, device: torch.device, *, weights: bool) -> Callable[[str], EncodedText]:
        """Return what encodes a text; with `weights` those that `prompt_syntax` finds count."""

    @abstractmethod
    def most_together(self, spec: JobSpec, device: Device) -> int | None:
        """Return how many jobs of this kind may be denoised in one call; None where that is any number.

        Each of them has to get the latents that it gets alone: to the bit on the CPU, to rounding elsewhere.
        """

    @abstractmethod
    def denoise(
        self,
        pipeline: Any,
        texts: Sequence[tuple[EncodedText, EncodedText | None]],
        specs: Sequence[JobSpec],
        on_step: Callable[[int], None],
    ) -> torch.Tensor:
        """Return the latents of the pictures, of noise from CPU generators seeded for each of them.

        Their kind and guidance are the same, and so are the places of their texts: prompts and negative prompts, which
        are None where the pictures are made without guidance. `on_step` is called with the number of steps done.
        """

    @abstractmethod
    def decode(self, pipeline: Any, latents: torch.Tensor) -> torch.Tensor:
        """Return the picture of one picture's latents as the pipeline's own numbers."""

    @abstractmethod
    def decode_in_float32(self, pipeline: Any, latents: torch.Tensor) -> torch.Tensor:
        """Decode with float32 weights and activations; float16 overflows in some decoders."""

    @abstractmethod
    def is_harmful(self, pipeline: Any, image: torch.Tensor, device: Device) -> bool | None:
        """Tell whether the safety checker blocks the picture; None where there is none, or it is off."""
