"""What a training is told: every key by the name that it has in the training scripts of diffusers and those like it."""

import ast
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from models.checkpoints import STABLE_DIFFUSION_1_5, canonical_checkpoint
from models.training.sizes import sizes
from models.types.errors import BadInputError
from models.types.job import MAX_SEED

#: Where a UNet of diffusers mixes what it draws with itself and with the prompt.
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
_Share = Annotated[float, Field(ge=0, le=1)]
#: Keys of other programs that change nothing here, and why.
_WITHOUT_EFFECT = {
    "revision": "the checkpoint is taken as it lies on this disk; `producer download --revision` fetches one",
    "checkpoints_total_limit": "all stay until they were compared; `producer compare NAME --keep 5` removes the others",
    "num_train_epochs": "max_train_steps says how long it takes",
    "validation_epochs": "validation_steps says when pictures are made",
    "logging_dir": "figures are rows, and lie in the data folder",
}


class TrainingConfig(BaseModel):
    """The configuration of one training; the defaults are those of a LoRA on product photos."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model_id: str = Field(STABLE_DIFFUSION_1_5, description="Checkpoint to train on.")
    train_data_dir: str | None = Field(None, description="Folder of pictures and captions.")
    resolution: int = Field(512, ge=64, le=2048, multiple_of=8, description="Pixels of a picture's shorter side.")
    train_batch_size: int = Field(2, ge=1, le=256, description="Pictures that go through the UNet at once.")
    gradient_accumulation_steps: int = Field(8, ge=1, le=1024, description="Such batches for each step.")
    max_train_steps: int = Field(3000, ge=1, le=1_000_000, description="Steps in all.")
    learning_rate: float = Field(1e-4, gt=0, le=1, description="Of the UNet's LoRA.")
    text_encoder_lr: float | None = Field(None, gt=0, le=1, description="Of the text encoder's; as the UNet's.")
    train_text_encoder: bool = Field(False, description="Train a LoRA of the text encoder, too: for new words.")
    lr_warmup_steps: int = Field(0, ge=0, description="Steps in which the rate rises to its height.")
    lr_scheduler: Literal["constant", "cosine"] = Field("constant", description="How the rate goes on from there.")
    weight_decay: float = Field(0.01, ge=0, le=1, description="Of AdamW.")
    max_grad_norm: float = Field(1.0, gt=0, description="Length to which a longer gradient is cut.")
    mixed_precision: Literal["auto", "no", "fp16", "bf16"] = Field(
        "auto", description="Numbers of the frozen weights; auto: float16 on a GPU. On a CPU fp16 is float32."
    )
    gradient_checkpointing: bool = Field(
        True, description="Where memory runs out, compute again what the way back needs: less memory, more time."
    )
    use_8bit_adam: Literal[False] = Field(False, description="Only false: no library has it for Metal.")
    lora_rank: int = Field(8, ge=1, le=1024, description="Rank of each layer's change.")
    lora_alpha: float = Field(16.0, gt=0, description="Each change is scaled by alpha / rank.")
    lora_dropout: _Share = Field(0.0, lt=1, description="Share of values that are left out at random in each step.")
    lora_target_modules: tuple[str, ...] = Field(ATTENTION, min_length=1, description="Layers of the UNet, by name.")
    validation_prompt: tuple[str, ...] = Field((), description="Prompts of the pictures that are made on the way.")
    validation_steps: int = Field(500, ge=1, description="Steps from one set of those to the next.")
    num_validation_images: int = Field(4, ge=0, le=1000, description="Pictures of each prompt.")
    checkpointing_steps: int = Field(500, ge=1, description="Steps from one checkpoint of the LoRA to the next.")
    segment_steps: int = Field(50, ge=1, le=100_000, description="Steps at one go; what is urgent comes between two.")
    report_to: Literal["none", "tensorboard"] = Field("none", description="Where figures go beside the record.")
    seed: int = Field(0, ge=0, le=MAX_SEED, description="Of the weights' start, the order, noise and times.")
    center_crop: bool = Field(
        True, description="Cut each picture to a square; off: those of other shapes are learnt from in sizes of theirs."
    )
    random_flip: bool = Field(False, description="Mirror half of the pictures.")
    check_autoencoder: bool = Field(
        True, description="End before the first step where the autoencoder loses colours that captions name."
    )
    snr_gamma: float | None = Field(None, gt=0, description="Weigh steps by their noise (min-SNR), such as 5.")
    noise_offset: float = Field(0.0, ge=0, le=1, description="Shift the noise of a whole picture by so much.")
    caption_dropout: _Share = Field(0.0, description="Share of pictures whose caption is left out.")

    @field_validator("lora_target_modules", "validation_prompt", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("model_id")
    @classmethod
    def _canonical(cls, value: str) -> str:
        try:
            return canonical_checkpoint(value)
        except (OSError, RuntimeError) as error:
            raise ValueError(str(error)) from None

    @field_validator("report_to", mode="before")
    @classmethod
    def _nowhere(cls, value: object) -> object:
        return "none" if value in (None, "") else value

    @model_validator(mode="after")
    def _warms_up_before_the_end(self) -> "TrainingConfig":
        if self.lr_warmup_steps >= self.max_train_steps:
            raise ValueError("lr_warmup_steps: the rate would never reach its height before max_train_steps")
        return self

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Widths and heights in which pictures are learnt from."""
        return sizes(self.resolution, cropped=self.center_crop)

    @property
    def pictures_a_step(self) -> int:
        """Pictures that each step of the optimiser learns from."""
        return self.train_batch_size * self.gradient_accumulation_steps


def read_config(
    file: Path | None, flags: Mapping[str, object], usual: Mapping[str, object] | None = None
) -> tuple[TrainingConfig, list[str]]:
    """Return the configuration of a file and of flags, which win over it, and what of the file has no effect.

    `usual` is taken where neither says anything.

    The file is TOML, or the dictionary that such a script has in Python, whose values stand there as they are.

    Raises:
        BadInputError: with each key that cannot be used.
    """
    told = {} if file is None else _read(file)
    said = [f"{key} has no effect: {why}" for key, why in _WITHOUT_EFFECT.items() if key in told]
    values = {**(usual or {}), **{key: value for key, value in told.items() if key not in _WITHOUT_EFFECT}, **flags}
    try:
        return TrainingConfig.model_validate(values), said
    except ValidationError as error:
        place = "" if file is None else f"{file}: "
        raise BadInputError([f"{place}{_problem(one)}" for one in error.errors(include_url=False)]) from None


def _problem(error: Any) -> str:
    name = ".".join(map(str, error["loc"]))
    match error["type"]:
        case "extra_forbidden":
            return f"{name} is no key of a training"
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            return f"{name}={error['input']!r}: {error['msg']}"


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError([f"{file} cannot be read: {error}"]) from None
    if file.suffix == ".py":
        return _of_python(file, text)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInputError([f"{file} is no TOML: {error}"]) from None


def _of_python(file: Path, text: str) -> dict[str, Any]:
    """Return the first dictionary of values that a module gives a name; nothing of it is run."""
    try:
        for statement in ast.parse(text).body:
            if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Dict):
                found: dict[str, Any] = ast.literal_eval(statement.value)
                return found
    except (SyntaxError, ValueError) as error:
        raise BadInputError([f"{file}: its dictionary cannot be read: {error}"]) from None
    raise BadInputError([f"{file} gives no dictionary of values a name"])
