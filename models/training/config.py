"""What a training is told: every key by the name that it has in the training scripts of diffusers and those like it."""

import ast
import tomllib
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from models.checkpoints import STABLE_DIFFUSION_1_5, canonical_checkpoint
from models.training.sizes import sizes
from models.types.errors import BadInputError
from models.types.job import MAX_SEED, Prompt

#: Where a UNet of diffusers mixes what it draws with itself and with the prompt.
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
_Share = Annotated[float, Field(ge=0, le=1)]
#: What may be told in passes through all pictures, or in steps, which win.
_IN_PASSES = {"num_train_epochs": "max_train_steps", "validation_epochs": "validation_steps"}
#: The branch of a hub's repository that is meant by its name alone.
MAIN = "main"


class TrainingConfig(BaseModel):
    """The configuration of one training; the defaults are those of a LoRA on product photos."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model_id: str = Field(STABLE_DIFFUSION_1_5, description="Checkpoint to train on.")
    revision: str = Field(MAIN, min_length=1, description="Of a checkpoint of the hub: its branch, tag or commit.")
    train_data_dir: str | None = Field(None, description="Folder of pictures and captions.")
    resolution: int = Field(512, ge=64, le=2048, multiple_of=8, description="Pixels of a picture's shorter side.")
    train_batch_size: int = Field(2, ge=1, le=256, description="Pictures that go through the UNet at once.")
    gradient_accumulation_steps: int = Field(8, ge=1, le=1024, description="Such batches for each step.")
    max_train_steps: int = Field(3000, ge=1, le=1_000_000, description="Steps in all.")
    num_train_epochs: int | None = Field(
        None, ge=1, description="Passes through all pictures, in place of --max-train-steps."
    )
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
    use_8bit_adam: bool = Field(False, description="Only off: no library has it for Metal.")
    lora_rank: int = Field(8, ge=1, le=1024, description="Rank of each layer's change.")
    lora_alpha: float = Field(16.0, gt=0, description="Each change is scaled by alpha / rank.")
    lora_dropout: _Share = Field(0.0, lt=1, description="Share of values that are left out at random in each step.")
    lora_target_modules: tuple[str, ...] = Field(ATTENTION, min_length=1, description="Layers of the UNet, by name.")
    validation_prompt: tuple[Prompt, ...] = Field(
        (), description="Prompts of the pictures that are made on the way; none: some of the captions."
    )
    validation_steps: int = Field(500, ge=1, description="Steps from one set of those to the next.")
    validation_epochs: int | None = Field(
        None, ge=1, description="Passes from one set of those to the next, in place of --validation-steps."
    )
    num_validation_images: int = Field(4, ge=0, le=1000, description="Pictures of each prompt.")
    checkpointing_steps: int = Field(500, ge=1, description="Steps from one checkpoint of the LoRA to the next.")
    checkpoints_total_limit: int = Field(
        5, ge=1, description="Checkpoints that `producer compare NAME --keep` leaves, once all were compared."
    )
    segment_steps: int = Field(50, ge=1, le=100_000, description="Steps at one go; what is urgent comes between two.")
    report_to: Literal["none", "tensorboard"] = Field("none", description="Where figures go beside the record.")
    logging_dir: str | None = Field(
        None, min_length=1, description="Folder of TensorBoard's files; those of NAME go into its folder NAME."
    )
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

    @field_validator("use_8bit_adam")
    @classmethod
    def _of_32_bits(cls, value: bool) -> bool:
        if value:
            raise ValueError("no library has that for Metal; leave it off")
        return value

    @field_validator("logging_dir")
    @classmethod
    def _absolute(cls, value: str | None) -> str | None:
        # A worker runs in another folder.
        return None if value is None else str(Path(value).expanduser().resolve())

    @model_validator(mode="after")
    def _warms_up_before_the_end(self) -> "TrainingConfig":
        is_counted = self.num_train_epochs is None or "max_train_steps" in self.model_fields_set
        if is_counted and self.lr_warmup_steps >= self.max_train_steps:
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

    def of_passes(self, pictures: int) -> "TrainingConfig":
        """Return it with passes through so many pictures told in steps.

        Raises:
            BadInputError: they are too many.
        """
        counted = {
            steps: ceil(passes * pictures / self.pictures_a_step)
            for name, steps in _IN_PASSES.items()
            if (passes := getattr(self, name)) is not None and steps not in self.model_fields_set
        }
        return _validated(self.model_dump() | counted) if counted else self


def read_config(
    file: Path | None, flags: Mapping[str, object], usual: Mapping[str, object] | None = None
) -> tuple[TrainingConfig, list[str]]:
    """Return the configuration of a file and of flags, which win over it, and what of both has no effect.

    `usual` is taken where neither says anything.

    The file is TOML, or the dictionary that such a script has in Python, whose values stand there as they are; None
    says nothing.

    Raises:
        BadInputError: with each key that cannot be used.
    """
    told = {} if file is None else {key: value for key, value in _read(file).items() if value is not None}
    values = {**(usual or {}), **told, **flags}
    said = []
    for passes, steps in _IN_PASSES.items():
        if passes in flags and steps not in flags:
            values.pop(steps, None)
        elif passes in values and steps in values:
            del values[passes]
            said.append(f"{passes} has no effect: {steps} is told, too")
    config = _validated(values, "" if file is None else f"{file}: ")
    if config.logging_dir is not None and config.report_to == "none":
        said.append("logging_dir has no effect: report_to=tensorboard writes files there")
    return config, said


def _validated(values: Mapping[str, object], place: str = "") -> TrainingConfig:
    try:
        return TrainingConfig.model_validate(values)
    except ValidationError as error:
        raise BadInputError([f"{place}{_problem(one)}" for one in error.errors(include_url=False)]) from None


def _problem(error: Any) -> str:
    name = ".".join(map(str, error["loc"]))
    match error["type"]:
        case "extra_forbidden":
            return f"{name} is no key of a training"
        case "value_error":
            return f"{name}: {error['ctx']['error']}" if name else str(error["ctx"]["error"])
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
