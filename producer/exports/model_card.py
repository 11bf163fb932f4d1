"""The card of a LoRA: what it was trained on, how, what that measured, and what its pictures show."""

from collections.abc import Sequence

from models.checkpoints import is_hub_id, public_name
from models.figures.trainings import TrainingProgress
from models.training.config import TrainingConfig
from producer.exports.card import plain
from producer.format import duration, number, seconds, size

_SHOWN = 20
#: Of the configuration, what says nothing to others.
_LEFT_OUT = {
    *("model_id", "revision", "train_data_dir", "validation_prompt", "report_to", "logging_dir", "segment_steps"),
    *("check_autoencoder", "checkpoints_total_limit"),
}


def model_card(
    progress: TrainingProgress, lora: str, captions: Sequence[str], verdict: str, sheet: str, files: Sequence[str]
) -> str:
    """Return the card of one LoRA of a training as Markdown, as the hub reads it.

    `verdict` is of the comparison of all its checkpoints, and `sheet` the file with their pictures.

    The licence is left to the person: it depends on the pictures.
    """
    training = progress.training
    config = TrainingConfig.model_validate(training.config)
    base = public_name(config.model_id)
    step = next(one.ended_step for one in progress.segments if one.lora == lora)
    lines = [
        "---",
        *([f"base_model: {base}"] if is_hub_id(base) else []),
        "license: ",
        "tags:",
        "- lora",
        "- text-to-image",
        "---",
        f"# {training.name}",
        "",
        f"A LoRA for {base}, trained by Nightshift: step {step:,} of {config.max_train_steps:,}.",
        "",
        "Licence: not settled; write it above.",
        *(["", f"Revision of that checkpoint: `{training.revision}`."] if training.revision is not None else []),
        "",
        *(f"- {file}" for file in files),
    ]
    lines += ["", f"![Pictures without it and with each checkpoint]({sheet})", "", verdict]
    held_out = f"; {training.held_out:,} more were held out" if training.held_out else ""
    lines += ["", "## Pictures", "", f"{training.pictures:,} were learnt from{held_out}. Captions:", ""]
    lines += [f"- {plain(caption)}" for caption in captions[:_SHOWN]] or ["- not there any more"]
    if len(captions) > _SHOWN:
        lines.append(f"- … and {len(captions) - _SHOWN:,} more")
    lines += ["", "## Configuration", "", "| | |", "| --- | --- |"]
    shown = {key: value for key, value in config.model_dump(mode="json").items() if key not in _LEFT_OUT}
    lines += [f"| {key} | {_value(value)} |" for key, value in shown.items()]
    lines += ["", "## Figures", "", "| steps | loss | held out | a step | memory |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {one.ended_step:,} | {number(one.loss, 4)} | {number(one.held_out_loss, 4)} | {seconds(one.step_s)} "
        f"| {size(one.peak_bytes)} |"
        for one in progress.segments
        if one.lora is not None
    ]
    spent_s = sum(one.total_s for one in progress.segments)
    lines += ["", f"{training.step:,} steps in {duration(spent_s)}, pictures between them not counted."]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "-" if value is None else str(value)
