"""What a job asks for."""

import hashlib
from collections.abc import Iterator
from itertools import count
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from models.types.lora import Lora, canonical_loras, parse_loras
from models.types.presets import EXACT, canonical_preset
from models.types.printable import is_printable
from models.types.schedulers import canonical_name

#: Seeds are stored as a signed 64-bit integer, the widest that SQLite and PostgreSQL both take.
MAX_SEED = 2**63 - 1
#: SD 1.5's latents are an eighth of the picture's width and height.
SIZE_MULTIPLE = 8
MIN_SIZE, MAX_SIZE = 64, 2048
MAX_STEPS = 500
MAX_GUIDANCE = 100.0
#: Up to here the prompt alone counts (Ho and Salimans, Classifier-Free Diffusion Guidance, as diffusers writes w).
NO_GUIDANCE = 1.0
MAX_PROMPT = 10_000
MAX_LORAS = 4_000
#: The numbers of rows are 32-bit integers where a database tells them apart.
MAX_KEY = 2**31 - 1
#: Redis serves 0 first and 9 last.
DEFAULT_PRIORITY, LOWEST_PRIORITY = 5, 9


def _multiple_of_eight(value: int) -> int:
    if value % SIZE_MULTIPLE:
        near = max(MIN_SIZE, round(value / SIZE_MULTIPLE) * SIZE_MULTIPLE)
        raise ValueError(f"{value} is not a multiple of {SIZE_MULTIPLE}; {near} is the nearest")
    return value


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a NUL character, which no database text and no PNG text may")
    return text


def _printable_only(text: str) -> str:
    if not is_printable(text):
        raise ValueError("holds a control character, which no name of a checkpoint may")
    return text


Prompt = Annotated[str, Field(max_length=MAX_PROMPT), AfterValidator(_no_nul)]
Size = Annotated[int, Field(ge=MIN_SIZE, le=MAX_SIZE), AfterValidator(_multiple_of_eight)]
Steps = Annotated[int, Field(ge=1, le=MAX_STEPS)]
Guidance = Annotated[float, Field(ge=0, le=MAX_GUIDANCE, allow_inf_nan=False)]
SchedulerName = Annotated[str, AfterValidator(canonical_name)]
PresetName = Annotated[str, AfterValidator(canonical_preset)]
Loras = Annotated[str, Field(max_length=MAX_LORAS), AfterValidator(canonical_loras)]
CheckpointName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1024), AfterValidator(_printable_only)
]


#: The fields of a job from which its kind follows.
PACE_FIELDS = ("checkpoint", "width", "height", "steps", "scheduler", "guidance", "preset")


class JobSpec(BaseModel):
    """One requested picture, every value settled; columns, keys of prompt files and flags are made from these fields.

    The same spec on the same device gives the same pixels; on a CPU, with the same number of threads.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: Prompt
    negative_prompt: Prompt = Field("", description="What the picture should not show.")
    seed: int = Field(
        ge=0, le=MAX_SEED, description="Seed of each prompt's first picture; drawn and recorded where not given."
    )
    steps: Steps = Field(description="Denoising steps. Default: the checkpoint's (25 for SD 1.5).")
    guidance: Guidance = Field(description="Guidance scale. Default: the checkpoint's (7.5).")
    width: Size = Field(description="Pixels, a multiple of 8. Default: the checkpoint's (512 for SD 1.5).")
    height: Size = Field(description="Pixels, a multiple of 8. Default: the checkpoint's (512 for SD 1.5).")
    scheduler: SchedulerName = Field(description="Such as PNDM, Euler a, DPM++ 2M Karras. Default: PNDM.")
    checkpoint: CheckpointName = Field(description="Hub id, folder, .safetensors file, or demo.")
    lora: Loras = Field(
        "",
        description="LoRAs, such as olive:0.8, each a file in NIGHTSHIFT_LORA_FOLDERS or a hub id, and how much it "
        "counts. Default: none.",
    )
    preset: PresetName = Field(
        EXACT,
        description="exact, as asked for; fast, hardly to be told from it; turbo, faster yet; or draft, other pictures "
        "in 4 steps, by a LoRA. They settle scheduler and steps. Default: exact.",
    )

    @property
    def guided(self) -> bool:
        """Whether the negative prompt is looked at, and goes through the denoiser beside the prompt."""
        return self.guidance > NO_GUIDANCE

    @property
    def loras(self) -> tuple[Lora, ...]:
        """The LoRAs, in the order in which they are added to the weights."""
        return parse_loras(self.lora)


#: Drawn seeds stay short enough to be typed again, and leave room for the seeds that follow.
DRAWN_SEEDS = 2**32


def derived_seeds(seed: int, purpose: str) -> Iterator[int]:
    """Yield other seeds that follow from this one, without end: the same command makes the same pictures.

    They are no neighbours of it, since neighbours are what several pictures of one prompt take. They may be taken
    nevertheless, so a caller goes on to the first that is not.
    """
    for number in count(1):
        digest = hashlib.sha256(f"{purpose} {number} {seed}".encode()).digest()
        yield int.from_bytes(digest[:8], "big") % DRAWN_SEEDS
