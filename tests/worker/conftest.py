"""What the tests that drive the pipeline in their own process share."""

from collections.abc import Callable, Iterator

import pytest
import torch

from models.checkpoints import DEMO
from models.settings import Settings
from models.types.job import JobSpec
from worker.engine.checkpoints.local_checkpoint import find_checkpoint
from worker.engine.devices.cpu import Cpu
from worker.engine.loading import LoadedCheckpoint, load_checkpoint


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Keep torch to one thread, as the worker processes are: theirs would wait for each other beside a worker."""
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(usual)


@pytest.fixture(scope="session")
def load(settings: Callable[..., Settings]) -> Callable[..., LoadedCheckpoint]:
    """Return a loader of the demo, or of a folder or file, onto the CPU."""

    def load(name: object = DEMO, dtype: torch.dtype = torch.float32, **values: object) -> LoadedCheckpoint:
        found = find_checkpoint(str(name))
        return load_checkpoint(found, Cpu("cpu", dtype), settings(device="cpu", **values))

    return load


@pytest.fixture(scope="session")
def spec() -> Callable[..., JobSpec]:
    """Return a maker of small jobs for the demo."""
    usual = {"prompt": "a red shoe", "seed": 1, "steps": 4, "guidance": 7.5, "width": 64, "height": 64}
    return lambda **values: JobSpec(**{**usual, "scheduler": "DPM++ 2M", "checkpoint": DEMO, **values})
