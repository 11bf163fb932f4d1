"""The processes that `producer run` and `bench` start: noted while they live, stopped at the end, replaced if left.

A run that is killed cannot stop its server and worker. The next run finds them by the notes and stops
them, so never two of a kind are at work.
"""

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click
import psutil
from filelock import FileLock, Timeout

from models.private_folders import make_private_folder
from models.types.errors import DatabaseError, NightshiftError

_STOP_S = 5.0
#: By how much the start of a process may seem to move: it is counted from the machine's own start, whose time of day
#: moves as the clock is set. No number of a process comes again so soon.
_START_MOVES_S = 2.0


@contextmanager
def only_run(command: str, folder: Path) -> Iterator[None]:
    """Keep `folder` from every other `command` while the block runs; what a killed one left at work is stopped first.

    Raises:
        DatabaseError: if the folder cannot be written.
        NightshiftError: if another is at work there.
    """
    try:
        make_private_folder(folder)
    except OSError as error:
        raise DatabaseError(
            f"{folder} cannot be written ({error.strerror}): choose another NIGHTSHIFT_DATA_DIR"
        ) from error
    lock = FileLock(folder / "run.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise NightshiftError(
            f"another `producer {command}` is at work with {folder}: wait for it, or choose another NIGHTSHIFT_DATA_DIR"
        ) from None
    with lock:
        for role in _stop_leftovers(folder):
            click.echo(f"stopped a {role} that an earlier run left behind")
        yield


def note_of(folder: Path, role: str) -> Path:
    """Return where it is noted which process has the role."""
    return folder / f"{role}.pid"


def stop_processes(folder: Path, processes: Mapping[str, subprocess.Popen[bytes]], patience_s: float = _STOP_S) -> None:
    """Ask processes, by their roles, to end, make them end after `patience_s`, and forget the notes."""
    # All before one is waited for, so that they end side by side.
    for process in processes.values():
        process.terminate()
    until = time.monotonic() + patience_s
    for role, process in processes.items():
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        finally:
            note_of(folder, role).unlink(missing_ok=True)


def _stop_leftovers(folder: Path) -> list[str]:
    """Stop what an earlier run left behind and return the roles found alive."""
    stopped = []
    # The server last: no worker should see it go away.
    for role in sorted((file.stem for file in folder.glob("*.pid")), key=lambda role: role == "server"):
        file = note_of(folder, role)
        process = _noted(file)
        if process is not None:
            process.terminate()
            if psutil.wait_procs([process], _STOP_S)[1]:
                process.kill()
                process.wait()
            stopped.append(role)
        file.unlink()
    return stopped


def _noted(file: Path) -> psutil.Process | None:
    try:
        note = json.loads(file.read_text())
        process = psutil.Process(note["pid"])
        return process if abs(process.create_time() - note["started"]) <= _START_MOVES_S else None
    except (psutil.NoSuchProcess, ValueError, KeyError, TypeError):
        return None
