"""A picture as a PNG file, with its parameters inside."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

from PIL.Image import Image
from PIL.PngImagePlugin import PngInfo

from models.pictures.mark import KEY
from models.tuning import USUAL
from models.types.job import JobSpec
from models.types.lora import listed, tagged
from models.types.measurement import UsedLora
from models.types.presets import EXACT
from models.types.schedulers import SCHEDULERS


def encode_png(picture: Image, parameters: str, mark: str | None = None) -> bytes:
    """Return the picture as PNG with A1111's `parameters` text inside, as tEXt, or iTXt beyond Latin-1.

    `mark` says whose picture it is; see `models.pictures.mark`.
    """
    info = PngInfo()
    info.add_text("parameters", parameters)
    if mark is not None:
        info.add_text(KEY, mark)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def parameters_text(
    spec: JobSpec,
    checkpoint: str,
    revision: str,
    version: str,
    pictures_a_call: int | None = None,
    form: str | None = None,
    loras: Sequence[UsedLora] = (),
) -> str:
    """Return A1111's `parameters`: prompt, negative prompt, and one line of settings.

    Order and quoting follow A1111's own writer: a value with a comma, a colon or a newline is JSON-quoted,
    and a field without a value is left out.
    """
    scheduler = SCHEDULERS[spec.scheduler]
    digest = revision.removeprefix("sha256:") if revision.startswith("sha256:") else None
    fields = {
        "Steps": spec.steps,
        "Sampler": scheduler.sampler,
        "Schedule type": scheduler.schedule_type,
        # All its digits: the picture can be made again from this alone.
        "CFG scale": str(spec.guidance).removesuffix(".0"),
        "Seed": spec.seed,
        "Size": f"{spec.width}x{spec.height}",
        # A1111's short hash is the first ten digits of a single file's sha256.
        "Model hash": digest[:10] if digest and checkpoint.endswith(".safetensors") else None,
        "Model": Path(checkpoint).name.removesuffix(".safetensors"),
        "Lora hashes": ", ".join(f"{lora.name}: {lora.sha256[:12]}" for lora in loras) or None,
        # In the prompt they are named as A1111 does it, without the folder or the hub's account that they come from.
        "LoRAs": listed(spec.loras) if any(lora.name != lora.stem for lora in spec.loras) else None,
        "RNG": "CPU",
        "Preset": None if spec.preset == EXACT else spec.preset,
        # On some devices a picture depends on these two, by rounding.
        "Pictures a call": pictures_a_call if pictures_a_call != 1 else None,
        "Denoiser": form if form != USUAL else None,
        "Version": f"Nightshift {version}",
    }
    line = ", ".join(f"{key}: {_quoted(value)}" for key, value in fields.items() if value is not None)
    negative = [f"Negative prompt: {spec.negative_prompt}"] if spec.negative_prompt else []
    return "\n".join([tagged(spec.prompt, spec.loras), *negative, line])


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ",:\n") else text
