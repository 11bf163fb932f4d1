"""The stages of a training: each leaves one file, and is passed over when that file is there."""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from safetensors.torch import load_file, save_file
from torch import Tensor

Step = TypeVar("Step")


class Stages:
    """The folder of what finished stages left, and the seconds that each took."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.console = Console()

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of the finished stages, by name."""
        file = self.folder / "seconds.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def run(self, name: str, make: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Return the tensors that stage `name` makes, or made in an earlier run."""
        file = self.folder / f"{name}.safetensors"
        if not file.exists():
            begun = time.perf_counter()
            made = {key: value.detach().contiguous().clone() for key, value in make().items()}
            _replace(self.folder / "seconds.json", json.dumps(self.seconds | {name: time.perf_counter() - begun}))
            # The stage counts as finished from here on, so the file comes whole and last.
            partial = file.with_suffix(".partial")
            save_file(made, partial)
            os.replace(partial, file)  # noqa: PTH105 - it stands beside save_file, which takes the same paths
        return load_file(file)

    def watched(
        self, text: str, total: int, steps: Iterable[Step], say: Callable[[Step], str] = lambda _: ""
    ) -> list[Step]:
        """Return all of `steps`, and show a progress bar meanwhile; `say` tells of the last one."""
        columns = (
            TextColumn(f"{text:<22}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[said]}"),
        )
        done: list[Step] = []
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task("", total=total, said="")
            for step in steps:
                done.append(step)
                progress.update(task, advance=1, said=say(step))
                # A bar is for terminals; a file gets a line now and then.
                if not self.console.is_terminal and len(done) % max(1, total // 10) == 0:
                    self.console.print(f"{text}: {len(done)} of {total} {say(step)}".rstrip())
        return done


def _replace(file: Path, text: str) -> None:
    partial = file.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(file)
