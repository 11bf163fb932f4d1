"""Whether the picture shows what the prompt says, by CLIP, where its weights are on the machine."""

import math
from functools import lru_cache
from typing import Any

from PIL import Image
from pydantic import BaseModel, Field

from checks.asked import Asked
from checks.picture import Picture
from models.finding import Finding

_DEFAULT = "openai/clip-vit-base-patch32"


class Limits(BaseModel):
    """How near picture and prompt are to be."""

    least: float = Field(20.0, ge=0, le=100, description="Least 100 times the cosine of picture and prompt.")
    model: str = Field(_DEFAULT, min_length=1, description="Hub id or folder of the CLIP; it is never downloaded.")


def look(picture: Picture, asked: Asked, limits: Limits) -> Finding:
    """Find 100 times the cosine of what CLIP makes of picture and prompt, of which it sees the first 77 tokens.

    That is CLIPScore but for its factor of 2.5 (J. Hessel and others, CLIPScore: A Reference-free Evaluation Metric for
    Image Captioning, EMNLP 2021). Where the weights are not on the machine nothing is measured, and nothing rejected.
    """
    try:
        model, processor = _load(limits.model)
    except OSError:
        said = f"not measured: {limits.model} is not on this machine; `hf download {limits.model}` fetches it"
        return Finding("clip", None, passed=True, sentence=said)
    score = 100 * _cosine(model, processor, Image.fromarray(picture.rgb), asked.prompt)
    # NaN is nowhere near anything.
    passed = not math.isnan(score) and score >= limits.least
    return Finding("clip", score, passed, f"picture and prompt are {score:.1f} of 100 alike (least {limits.least:g})")


@lru_cache(maxsize=1)
def _load(name: str) -> tuple[Any, Any]:
    """Return model and processor, on the CPU: the device is busy with the next picture.

    Raises:
        OSError: if they are not on this machine.
    """
    # They take seconds to import, which nobody waits for who does not ask for this check.
    from transformers import CLIPModel, CLIPProcessor
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    model = CLIPModel.from_pretrained(name, local_files_only=True).eval()
    return model, CLIPProcessor.from_pretrained(name, local_files_only=True)


def _cosine(model: Any, processor: Any, image: Image.Image, text: str) -> float:
    import torch

    places = model.config.text_config.max_position_embeddings
    given = processor(text=[text], images=image, return_tensors="pt", padding=True, truncation=True, max_length=places)
    with torch.inference_mode():
        found = model(**given)
    # Both are of length 1.
    return float((found.image_embeds * found.text_embeds).sum())
