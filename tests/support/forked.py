"""Programs that need not import torch and the like again: the fork server of multiprocessing has, and they come of it.

Those imports, the product's own among them, are most of the time that a worker or `producer` takes to start, and the
suite starts thousands. What comes of the server runs the same script, in a session, a folder, an environment and with
files of its own. Libraries have read their variables before that, but for the hub's; a test that is about one of those
starts a program of its own.
"""

import gc
import importlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import huggingface_hub.constants
from spares import keep_spares

from models.settings import Settings
from producer.cli import COMMANDS
from worker.log import quiet_libraries

_CONTEXT = multiprocessing.get_context("forkserver")
# All that a program of the product imports but the modules that read settings or set what torch reads when it comes.
_CONTEXT.set_forkserver_preload(
    [
        *(f"producer.commands.{place.partition(':')[0]}" for place, _ in COMMANDS.values()),
        "worker.boot",
        "celery.apps.worker",
        "celery.bin.celery",
        "celery.events.dispatcher",
        "diffusers.loaders.single_file_utils",
        "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion",
        "diffusers.pipelines.stable_diffusion.safety_checker",
        "kombu.transport.redis",
        "pydantic_settings",
        "rich.progress",
        "sqlalchemy.dialects.postgresql",
        "sqlalchemy.dialects.sqlite.pysqlite",
        "sqlalchemy.orm",
        # What workers with faults import beside: it imports pytest.
        "time_machine",
    ]
)


class Files(NamedTuple):
    """Where a program reads and writes."""

    stdin: Path
    stdout: Path
    stderr: Path


class ForkedProcess:
    """A program at work; `arguments` begin with its script. Its methods are those of `subprocess.Popen`."""

    def __init__(self, arguments: Sequence[str], environment: dict[str, str], folder: Path, files: Files) -> None:
        self.args = arguments
        # What a worker sets before it imports them; and the threads of OpenMP would not outlive a fork.
        with mock.patch.dict(os.environ, OMP_NUM_THREADS="1"):
            quiet_libraries(Settings(_env_file=None))
            forkserver.ensure_running()
        files.stdout.touch()
        files.stderr.touch()
        # A daemon, so that an interpreter that ends does not wait for it.
        order = {"arguments": arguments, "environment": environment, "folder": folder, "files": files}
        self._process = _CONTEXT.Process(target=_become, kwargs=order, daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _become(
    arguments: Sequence[str],
    environment: dict[str, str],
    folder: str | Path,
    files: Sequence[str | Path | int],
    note: str | None = None,
    *,
    has_session: bool = True,
) -> None:
    """Be a program: a script, or after `-m` a module; `files` are paths, or open."""
    # Else each collection would look through all that the server has imported.
    gc.freeze()
    if arguments[0] == sys.executable:
        arguments = arguments[1:]
    if (number := _programs_of(arguments)) > 0:
        keep_spares(number, _become)
    if has_session:
        os.setsid()
    # Modules of the product are written down as compiled, whatever whoever runs the tests does with those.
    sys.dont_write_bytecode = False
    for descriptor, file in enumerate(files):
        # A terminal among them is not to send its signals here.
        how = os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_APPEND
        opened = file if isinstance(file, int) else os.open(file, how | os.O_NOCTTY)
        os.dup2(opened, descriptor)
        if opened > 2:
            os.close(opened)
    # Those of the server know whether theirs are terminals, and what those can show.
    shown_in = environment.get("PYTHONIOENCODING")
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w", encoding=shown_in)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding=shown_in, errors="backslashreplace")
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    # The one module that reads what tests change: where the hub is, and what was downloaded.
    importlib.reload(huggingface_hub.constants)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    # By which a worker begins itself anew: from there on it is a program of its own.
    sys.orig_argv = [sys.executable, *arguments]
    if note is not None:
        from producer.local.noted_process import note_this_process

        note_this_process(Path(note))
    if arguments[0] == "-m":
        sys.argv = list(arguments[1:])
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(arguments)
        runpy.run_path(arguments[0], run_name="__main__")


def _programs_of(arguments: Sequence[str]) -> int:
    """Return how many programs that import torch one starts in any test, but for a worker again and again."""
    if arguments[1:2] == ["benchmarks.gpu"] and "--loop" not in arguments:
        return 14
    is_trial = arguments[1:2] == ["train"] and "--dry-run" in arguments
    return 4 if is_trial or not {"run", "workers", "bench", "doctor", "tune"}.isdisjoint(arguments[1:2]) else 0
