"""The processes that `producer run` starts: noted while they live, stopped at the end, replaced if left behind.

A run that is killed cannot stop its server and worker. The next run finds them by the notes and stops
them, so never two of a kind are at work.
"""

import json
import subprocess
from pathlib import Path

import psutil

_STOP_S = 5.0


def note_process(folder: Path, role: str, pid: int) -> None:
    """Note which process has the role; its start time tells it from a later one with the same number."""
    note = {"pid": pid, "started": psutil.Process(pid).create_time()}
    (folder / f"{role}.pid").write_text(json.dumps(note))


def stop_process(folder: Path, role: str, process: subprocess.Popen[bytes], patience_s: float = _STOP_S) -> None:
    """Ask the process to end, make it end after `patience_s`, and forget the note."""
    process.terminate()
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        (folder / f"{role}.pid").unlink(missing_ok=True)


def stop_leftovers(folder: Path) -> list[str]:
    """Stop what an earlier run left behind and return the roles found alive."""
    stopped = []
    # The worker first: it should not see its server go away.
    for role in ("worker", "server"):
        file = folder / f"{role}.pid"
        if not file.exists():
            continue
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
        return process if process.create_time() == note["started"] else None
    except (psutil.NoSuchProcess, ValueError, KeyError, TypeError):
        return None
