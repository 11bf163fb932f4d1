"""Processes that have noted who they are before they are anything else.

Whoever starts one may be killed at any moment, also before it could note what it has started; the process would be at
work, and nobody would know of it. So the process writes the note, and only then becomes the program:
`python -m producer.local.noted_process NOTE PROGRAM ARGUMENT…`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil


def start_noted(note: Path, command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start the command, whose first word is a program's path, and have it noted in that file."""
    return subprocess.Popen([sys.executable, "-P", "-m", __name__, str(note), *command], **options)


def note_this_process(note: Path) -> None:
    """Write who this process is; its start tells it from a later one with the same number."""
    own = psutil.Process()
    work = note.with_name(f"{note.name}.{own.pid}")
    work.write_text(json.dumps({"pid": own.pid, "started": own.create_time()}))
    work.replace(note)


def main() -> None:
    """Write the note and become the program."""
    note, *command = sys.argv[1:]
    note_this_process(Path(note))
    os.execv(command[0], command)  # noqa: S606 - the program that starts this one says which


if __name__ == "__main__":
    main()
