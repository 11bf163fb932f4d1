"""Disks of a test's own, mounted on a folder of it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

root = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root may mount a disk of a test's own")


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Mount a disk of its own on the folder; for root on Linux alone."""
    try:
        done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("needs `mount`")
    if done.returncode:
        pytest.skip(f"may not mount: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(path: Path) -> None:
    """Write until there is no room."""
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
