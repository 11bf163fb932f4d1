"""The parts of a pipeline that a training deals with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from diffusers import DDPMScheduler
from torch import Tensor

from models.types.errors import TrainingError

#: What a UNet may say of a noisy picture: the noise in it, or its velocity.
PREDICTED = ("epsilon", "v_prediction")


@dataclass(frozen=True)
class Parts:
    """The frozen weights, and the noise that they were trained with."""

    unet: Any
    text_encoder: Any
    tokenizer: Any
    autoencoder: Any
    noise: DDPMScheduler
    device: torch.device

    @classmethod
    def of(cls, pipeline: Any) -> "Parts":
        """Return those of a loaded pipeline of diffusers; nothing of them is trained but what is added.

        Raises:
            TrainingError: its UNet predicts what no loss is known of here.
        """
        for part in (pipeline.unet, pipeline.text_encoder, pipeline.vae):
            part.requires_grad_(False)
        noise = DDPMScheduler.from_config(pipeline.scheduler.config)
        if (predicted := noise.config["prediction_type"]) not in PREDICTED:
            raise TrainingError(
                f"the checkpoint's prediction_type is {predicted}; it has to be {' or '.join(PREDICTED)}"
            )
        return cls(pipeline.unet, pipeline.text_encoder, pipeline.tokenizer, pipeline.vae, noise, pipeline.unet.device)

    def without_autoencoder(self) -> "Parts":
        """Return the others."""
        return replace(self, autoencoder=None)

    def tokens(self, captions: Sequence[str]) -> Tensor:
        """Return the ids of captions, (captions, 77); what is longer is cut."""
        found = self.tokenizer(
            list(captions),
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        ids: Tensor = found.input_ids
        return ids

    def embeddings(self, tokens: Tensor) -> Tensor:
        """Return what the UNet is told of captions, (captions, 77, width)."""
        found: Tensor = self.text_encoder(tokens.to(self.device))[0]
        return found
