"""Whether the picture shows what the prompt says, by CLIP, where its weights are on the machine."""

import math
from importlib import import_module

from PIL import Image
from pydantic import BaseModel, Field

from checks.asked import Asked
from checks.picture import Picture
from models.types.finding import Finding

_DEFAULT = "openai/clip-vit-base-patch32"


class Limits(BaseModel):
    """How near picture and prompt are to be."""

    least: float = Field(20.0, ge=0, le=100, description="Least 100 times the cosine of picture and prompt.")
    model: str = Field(_DEFAULT, min_length=1, description="Hub id or folder of the CLIP; it is never downloaded.")


def check(picture: Picture, asked: Asked, limits: Limits) -> Finding:
    """Find 100 times the cosine of what CLIP makes of picture and prompt, of which it sees the first 77 tokens.

    That is CLIPScore but for its factor of 2.5 (J. Hessel and others, CLIPScore: A Reference-free Evaluation Metric for
    Image Captioning, EMNLP 2021). Where the weights are not on the machine nothing is measured, and nothing rejected.
    """
    # By its name, in the process that looks: nothing that only reads limits brings torch with it.
    clip = import_module("checks.clip_model")
    try:
        score = 100 * clip.cosine(limits.model, Image.fromarray(picture.rgb), asked.prompt)
    except OSError:
        said = f"not measured: {limits.model} is not on this machine; `hf download {limits.model}` fetches it"
        return Finding("clip", None, passed=True, sentence=said)
    # NaN is nowhere near anything.
    passed = not math.isnan(score) and score >= limits.least
    return Finding("clip", score, passed, f"picture and prompt are {score:.1f} of 100 alike (least {limits.least:g})")
