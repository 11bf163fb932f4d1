"""CLIP itself: transformers and torch take seconds to import, which nobody waits for who does not ask for its check."""

from functools import lru_cache
from typing import Any

import torch
from PIL import Image
from transformers import CLIPModel, CLIPProcessor
from transformers.utils import logging


def cosine(name: str, image: Image.Image, text: str) -> float:
    """Return the cosine of what CLIP makes of picture and text, of which it sees the first 77 tokens.

    Raises:
        OSError: if its weights are not on this machine.
    """
    model, processor = _load(name)
    places = model.config.text_config.max_position_embeddings
    given = processor(text=[text], images=image, return_tensors="pt", padding=True, truncation=True, max_length=places)
    with torch.inference_mode():
        found = model(**given)
    # Both are of length 1.
    return float((found.image_embeds * found.text_embeds).sum())


@lru_cache(maxsize=1)
def _load(name: str) -> tuple[Any, Any]:
    """Return model and processor, on the CPU: the device is busy with the next picture."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    model = CLIPModel.from_pretrained(name, local_files_only=True).eval()
    return model, CLIPProcessor.from_pretrained(name, local_files_only=True)
