"""What the tests of LoRAs share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from worker.engine.loading import LoadedCheckpoint
from worker.engine.loras.fused import FusedLoras, LoraFiles


@pytest.fixture
def loaded(load: Callable[..., LoadedCheckpoint]) -> LoadedCheckpoint:
    """Return a demo of the test's own."""
    return load()


@pytest.fixture
def loras(loaded: LoadedCheckpoint) -> FusedLoras:
    """Return the LoRAs in use of that demo, none yet."""
    return FusedLoras(loaded.family.lora_parts(loaded.pipeline))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder that has the LoRAs, empty."""
    made = tmp_path / "loras"
    made.mkdir()
    return made


@pytest.fixture
def files(folder: Path) -> LoraFiles:
    """Return what reads the LoRAs of the folder."""
    return LoraFiles([folder])
