"""The demo's parts and a trainer of them, in this process."""

import hashlib
from typing import Any

from diffusers import StableDiffusionPipeline

from models.checkpoints import DEMO_FOLDER
from models.training.config import TrainingConfig
from worker.engine.training.examples import EncodedExamples
from worker.engine.training.parts import Parts
from worker.engine.training.trainer import Trainer

#: Of a picture, in pixels.
SIDE = 64


def pipeline() -> StableDiffusionPipeline:
    return StableDiffusionPipeline.from_pretrained(DEMO_FOLDER, safety_checker=None)


def config(**values: object) -> TrainingConfig:
    usual: dict[str, object] = {"resolution": SIDE, "train_batch_size": 2, "gradient_accumulation_steps": 2}
    usual |= {"learning_rate": 1e-3, "max_train_steps": 20, "train_text_encoder": True}
    return TrainingConfig.model_validate(usual | values)


def trainer(encoded: EncodedExamples, parts: Any = None, *, saves_memory: Any = False, **values: Any) -> Trainer:
    return Trainer(parts or Parts.of(pipeline()), encoded, config(**values), saves_memory=saves_memory)


def digest(made: Trainer) -> str:
    """Return the hash of what was learnt."""
    tensors = made.adapters.tensors()
    return hashlib.sha256(
        b"".join(value.numpy().tobytes() for part in sorted(tensors) for _, value in sorted(tensors[part].items()))
    ).hexdigest()
