"""Making pictures with a loaded pipeline: encode the texts, denoise, decode, validate the tensors.

Knows nothing of queues and rows. Must run on the thread that owns the device.
"""

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import torch
from PIL.Image import Image

from models.types.causes import Cause
from models.types.errors import GenerationError
from models.types.job import JobSpec
from models.types.measurement import Timings
from worker.engine.devices.device import Device
from worker.engine.loading import LoadedCheckpoint
from worker.engine.making.prompt_embeddings import EncodedText


@dataclass
class Generation:
    """A picture and how long each part of it took."""

    picture: Image
    #: Its share of what the call took.
    timings: Timings
    decoded_again: bool
    prompt_tokens: int
    prompt_cut: str | None
    #: What the pixels depend on, as the device was given it: prompts of the same tokens are the same to it. Without the
    #: scheduler, since some come to the same pixels in a step or two.
    given: Hashable
    #: How many were made in the same call, this one counted.
    pictures_a_call: int


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


def generate(loaded: LoadedCheckpoint, device: Device, spec: JobSpec, on_step: Callable[[int], None]) -> Generation:
    """Return the picture that `spec` asks for: `spec.width` x `spec.height` pixels, 8-bit RGB.

    Raises:
        GenerationError: as `generate_together` returns it.
    """
    (made,) = generate_together(loaded, device, [spec], on_step)
    if isinstance(made, GenerationError):
        raise made
    return made


@torch.inference_mode()
def generate_together(
    loaded: LoadedCheckpoint, device: Device, specs: Sequence[JobSpec], on_step: Callable[[int], None]
) -> list[Generation | GenerationError]:
    """Return the pictures that `specs` ask for, which are of one kind and guidance, or why one cannot be made.

    `on_step` is called with the number of steps done; whatever it raises stops the generation at once and leaves the
    pipeline usable. The noise of each comes from a CPU generator seeded for this picture alone, so the same spec gives
    the same picture whatever ran before it or with it.

    A picture that cannot be made is a LatentsError where there is NaN or infinity after denoising; a GenerationError
    `not_finite` where that is left after decoding again in float32; and one `blocked` where the safety checker is on
    and blocks the picture.
    """
    lap = _Lap(device)
    texts = [_encoded(loaded, spec) for spec in specs]
    encode_s = lap()
    latents = _denoise(loaded, texts, specs, on_step)
    denoise_s = lap()
    decode_s, validate_s = [], []
    made: list[Generation | GenerationError] = []
    for spec, (prompt, negative), one in zip(specs, texts, latents, strict=True):
        decoding = _Decoding(loaded, device, lap)
        try:
            picture = decoding.picture(one)
        except GenerationError as error:
            made.append(error)
        else:
            given = (
                prompt.ids,
                negative and (negative.ids, spec.guidance),
                (spec.checkpoint, spec.seed, spec.steps, spec.width, spec.height),
            )
            made.append(Generation(picture, Timings(), decoding.twice, prompt.tokens, prompt.cut, given, len(specs)))
        decode_s.append(decoding.decode_s)
        validate_s.append(decoding.validate_s)
    share = Timings(*(seconds / len(specs) for seconds in (encode_s, denoise_s, sum(decode_s), sum(validate_s))))
    for each in made:
        if isinstance(each, Generation):
            each.timings = share
    return made


def _encoded(loaded: LoadedCheckpoint, spec: JobSpec) -> tuple[EncodedText, EncodedText | None]:
    if spec.guided:
        return loaded.prompt_embeddings.both(spec.prompt, spec.negative_prompt)
    return loaded.prompt_embeddings.of(spec.prompt), None


def _denoise(
    loaded: LoadedCheckpoint,
    texts: Sequence[tuple[EncodedText, EncodedText | None]],
    specs: Sequence[JobSpec],
    on_step: Callable[[int], None],
) -> list[torch.Tensor]:
    """Return the latents of each picture, a row of their own; texts of one length go through the device together."""
    of_length: dict[int, list[int]] = {}
    for place, (prompt, _) in enumerate(texts):
        of_length.setdefault(prompt.embeddings.shape[1], []).append(place)
    latents: dict[int, torch.Tensor] = {}
    for places in of_length.values():
        loaded.pipeline.scheduler = loaded.schedulers.new(specs[0].scheduler)
        rows = loaded.family.denoise(
            loaded.pipeline, [texts[place] for place in places], [specs[place] for place in places], on_step
        )
        latents |= dict(zip(places, rows.chunk(len(places)), strict=True))
    return [latents[place] for place in range(len(specs))]


class _Decoding:
    """From one picture's latents to the picture, and what that took."""

    def __init__(self, loaded: LoadedCheckpoint, device: Device, lap: _Lap) -> None:
        self._loaded = loaded
        self._device = device
        self._lap = lap
        self.decode_s = 0.0
        self.validate_s = 0.0
        self.twice = False

    def picture(self, latents: torch.Tensor) -> Image:
        """Decode one by one: together they are no faster, and take more memory.

        Raises:
            LatentsError, GenerationError: as `generate_together` returns them.
        """
        pipeline, family = self._loaded.pipeline, self._loaded.family
        if not _finite(latents):
            raise LatentsError
        self.validate_s += self._lap()
        image = family.decode(pipeline, latents)
        self.decode_s += self._lap()
        self.twice = not _finite(image)
        self.validate_s += self._lap()
        if self.twice:
            image = family.decode_in_float32(pipeline, latents)
            self.decode_s += self._lap()
            _require_finite(image)
            self.validate_s += self._lap()
        is_harmful = family.is_harmful(pipeline, image, self._device)
        if is_harmful:
            raise GenerationError(
                Cause.BLOCKED, "the safety checker blocked the picture; NIGHTSHIFT_SAFETY_CHECKER=false turns it off"
            )
        if is_harmful is not None:
            self.validate_s += self._lap()
        picture: Image = pipeline.image_processor.postprocess(image.float(), output_type="pil")[0]
        self.decode_s += self._lap()
        return picture


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
