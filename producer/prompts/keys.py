"""What a column, a key or an option of a line of prompts may be called."""

from collections.abc import Mapping

from models.types.job import JobSpec

#: The names of the flags.
KEYS = (*JobSpec.model_fields, "count")
#: What data sets, diffusers and A1111 call them.
ALIASES: Mapping[str, str] = {
    "text": "prompt",
    "caption": "prompt",
    "negative": "negative_prompt",
    "neg_prompt": "negative_prompt",
    "num_inference_steps": "steps",
    "guidance_scale": "guidance",
    "cfg_scale": "guidance",
    "cfg": "guidance",
    "sampler": "scheduler",
    "sampler_name": "scheduler",
    "num_images_per_prompt": "count",
}


def canonical_key(name: str) -> str:
    """Return the name of the flag that is meant, whatever its case, dashes and blanks; an unknown name as it reads."""
    plain = "_".join(name.lower().replace("-", " ").replace("_", " ").split())
    return ALIASES.get(plain, plain)
