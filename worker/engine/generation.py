"""Making one picture with a loaded pipeline: encode the text, denoise, decode, validate the tensors.

Knows nothing of queues and rows. Must run on the thread that owns the device.
"""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import torch
from PIL.Image import Image

from models.types.causes import Cause
from models.types.errors import GenerationError
from models.types.job import JobSpec
from models.types.measurement import Timings
from worker.engine.devices.device import Device
from worker.engine.loading import LoadedCheckpoint


@dataclass
class Generation:
    """A picture and how long each part of it took."""

    picture: Image
    timings: Timings
    decoded_again: bool
    prompt_tokens: int
    prompt_cut: str | None
    #: What the pixels depend on, as the device was given it: prompts of the same tokens are the same to it. Without the
    #: scheduler, since some come to the same pixels in a step or two.
    given: Hashable


class LatentsError(GenerationError):
    """NaN or infinity after denoising. What comes of recycled memory need not come a second time."""

    def __init__(self) -> None:
        super().__init__(Cause.NOT_FINITE, _not_finite("denoising"))


class _Lap:
    """Stopwatch that waits for the device before it reads the clock."""

    def __init__(self, device: Device) -> None:
        self._device = device
        device.synchronize()
        self._last = time.perf_counter()

    def __call__(self) -> float:
        self._device.synchronize()
        now = time.perf_counter()
        elapsed, self._last = now - self._last, now
        return elapsed


@torch.inference_mode()
def generate(loaded: LoadedCheckpoint, device: Device, spec: JobSpec, on_step: Callable[[int], None]) -> Generation:
    """Return the picture that `spec` asks for: `spec.width` x `spec.height` pixels, 8-bit RGB.

    `on_step` is called with the number of steps done; whatever it raises stops the generation at once
    and leaves the pipeline usable. The noise comes from a CPU generator seeded for this picture alone,
    so the same spec gives the same picture whatever ran before it.

    Raises:
        LatentsError: NaN or infinity after denoising.
        GenerationError: `not_finite` if NaN or infinity is left after decoding again in float32;
            `blocked` if the safety checker is on and blocks the picture.
    """
    pipeline, family = loaded.pipeline, loaded.family
    lap = _Lap(device)
    prompt, negative = loaded.prompt_embeddings.of(spec.prompt), None
    if spec.guided:
        prompt, negative = loaded.prompt_embeddings.both(spec.prompt, spec.negative_prompt)
    encode_s = lap()

    pipeline.scheduler = loaded.schedulers.new(spec.scheduler)
    latents = family.denoise(pipeline, prompt, negative, spec, on_step)
    denoise_s = lap()
    if not _finite(latents):
        raise LatentsError
    validate_s = lap()

    image = family.decode(pipeline, latents)
    decode_s = lap()
    decoded_again = not _finite(image)
    validate_s += lap()
    if decoded_again:
        image = family.decode_in_float32(pipeline, latents)
        decode_s += lap()
        _require_finite(image)
        validate_s += lap()
    is_harmful = family.is_harmful(pipeline, image, device)
    if is_harmful:
        raise GenerationError(
            Cause.BLOCKED, "the safety checker blocked the picture; NIGHTSHIFT_SAFETY_CHECKER=false turns it off"
        )
    if is_harmful is not None:
        validate_s += lap()
    picture = pipeline.image_processor.postprocess(image.float(), output_type="pil")[0]
    decode_s += lap()
    timings = Timings(encode_s, denoise_s, decode_s, validate_s)
    given = (
        prompt.ids,
        negative and (negative.ids, spec.guidance),
        (spec.checkpoint, spec.seed, spec.steps, spec.width, spec.height),
    )
    return Generation(picture, timings, decoded_again, prompt.tokens, prompt.cut, given)


def _finite(image: torch.Tensor) -> bool:
    return bool(torch.isfinite(image).all())


def _require_finite(image: torch.Tensor) -> None:
    if not _finite(image):
        raise GenerationError(Cause.NOT_FINITE, _not_finite("decoding, in float32 too"))


def _not_finite(where: str) -> str:
    return (
        f"NaN or infinity after {where}; no picture was written. Try NIGHTSHIFT_DTYPE=float32, "
        "NIGHTSHIFT_ATTENTION_SLICING=false, or a lower guidance"
    )
