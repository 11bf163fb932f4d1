"""Trainings on the demo that take seconds: data sets of few pictures, and what came of them."""

import hashlib
import json
from pathlib import Path

from installation import Installation
from PIL import Image
from safetensors import safe_open

from models.records.tables import Segment, Training
from models.records.trainings.trainings import KnownTraining, require_training
from models.types.states import FINISHED

#: Of a second on one thread, with a checkpoint after every other segment.
QUICK_FLAGS = {
    "resolution": 64,
    "train-batch-size": 2,
    "gradient-accumulation-steps": 1,
    "max-train-steps": 12,
    "segment-steps": 3,
    "checkpointing-steps": 6,
    "learning-rate": 1e-3,
    "lora-dropout": 0.1,
    "caption-dropout": 0.2,
    "num-validation-images": 0,
}
_COLOURS = ("red", "green", "blue", "white", "black")


def data_set(folder: Path, *, held_out: int = 0) -> Path:
    """Write pictures with captions, as `datasets` reads them, and return the folder."""
    for part, count in (("train", len(_COLOURS)), ("test", held_out)):
        if not count:
            continue
        (folder / part).mkdir(parents=True)
        lines = []
        for number in range(count):
            colour = _COLOURS[number % len(_COLOURS)]
            Image.new("RGB", (96, 80), colour).save(folder / part / f"{number}.png")
            lines.append(json.dumps({"file_name": f"{number}.png", "text": f"a {colour} square"}))
        (folder / part / "metadata.jsonl").write_text("\n".join(lines))
    return folder


def flags(**changed: object) -> list[str]:
    """Return the flags of a quick training, changed; None leaves one out."""
    asked = QUICK_FLAGS | {name.replace("_", "-"): value for name, value in changed.items()}
    return [f"--{name}={value}" for name, value in asked.items() if value is not None]


def train(nightshift: Installation, name: str, folder: Path, *more: object, **changed: object) -> None:
    """Ask for a quick training."""
    done = nightshift.producer("train", name, "--data", folder, *flags(**changed), *more)
    assert done.returncode == 0, done.stderr


def training(nightshift: Installation, name: str) -> KnownTraining:
    with nightshift.database.reading() as session:
        return require_training(session, name)


def wait_until_over(nightshift: Installation, name: str) -> KnownTraining:
    """Return the training once it has ended."""
    nightshift.wait_until(lambda: training(nightshift, name).state in FINISHED, f"training {name} to end")
    return training(nightshift, name)


def segments(nightshift: Installation, name: str) -> list[Segment]:
    number = next(row.id for row in nightshift.rows(Training) if row.name == name)
    return [row for row in nightshift.rows(Segment) if row.training_id == number]


def digest(nightshift: Installation, name: str, step: int) -> str:
    """Return the hash of a LoRA's tensors, whatever its header says."""
    file = nightshift.data_dir / "loras" / name / f"{name}-{step:06d}.safetensors"
    found = hashlib.sha256()
    with safe_open(file, "pt") as opened:
        for key in sorted(opened.keys()):
            found.update(key.encode() + opened.get_tensor(key).numpy().tobytes())
    return found.hexdigest()
