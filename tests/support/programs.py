"""The programs that tests drive: `producer`, which ends, and those that are at work until they are told to end."""

import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from forked import Files, ForkedProcess

#: Seconds that anything may take on a slow and busy machine; no test passes or fails by a time nearer than this.
PATIENCE_S = 180.0
PRODUCER = Path(sysconfig.get_path("scripts"), "producer")
CELERY = PRODUCER.with_name("celery")

Process = subprocess.Popen[bytes] | ForkedProcess


class Program:
    """A program at work."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @property
    def status(self) -> int | None:
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


class WorkerProcess(Program):
    """A worker with its log; whoever ends it does so with `stop`, `kill` or `wait`."""

    def __init__(self, process: Process, log_file: Path, output_file: Path) -> None:
        super().__init__(process)
        self.log_file = log_file
        self.output_file = output_file
        self.pid = process.pid
        self.end_awaited = False
        self._forgotten = 0

    @property
    def log(self) -> str:
        return self.log_file.read_bytes()[self._forgotten :].decode(errors="replace")

    def forget_log(self) -> None:
        """Have `log` begin after what stands there now."""
        self._forgotten = self.log_file.stat().st_size

    @property
    def lines(self) -> list[str]:
        return self.log.splitlines()

    def wait(self) -> int:
        """Return its exit status."""
        self.end_awaited = True
        try:
            return self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the worker did not end; its log:\n{self.log}")

    def stop(self) -> int:
        self.send(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        self.end_awaited = True
        super().kill()


class ProducerProcess(Program):
    """`producer` at work; what it writes on both of its outputs is kept."""

    def __init__(self, process: Process, output_file: Path) -> None:
        super().__init__(process)
        self._output_file = output_file

    @property
    def output(self) -> str:
        """What it has written so far."""
        return self._output_file.read_text(errors="replace")

    def wait(self) -> str:
        """Return all that it wrote, once it has ended."""
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            pytest.fail(f"`producer` did not end; it wrote:\n{self.output}")
        return self.output


def run_anew(arguments: list[str], environment: dict[str, str], folder: Path, files: Files) -> subprocess.Popen[bytes]:
    with files.stdin.open("rb") as given, files.stdout.open("wb") as output, files.stderr.open("wb") as log:
        return subprocess.Popen(
            arguments, stdin=given, stdout=output, stderr=log, env=environment, cwd=folder, start_new_session=True
        )


# Apple's frameworks, which torch loads there, are not made to be used after a fork.
run: Callable[..., Process] = run_anew if sys.platform == "darwin" else ForkedProcess


def run_producer(
    arguments: Sequence[object], environment: dict[str, str], folder: Path, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run `producer` in a folder to its end, whatever status that has."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
        files = Files(*(Path(beside, name) for name in ("stdin", "stdout", "stderr")))
        files.stdin.write_text(stdin)
        process = run([str(PRODUCER), *map(str, arguments)], environment, folder, files)
        try:
            status = process.wait(PATIENCE_S)
        finally:
            process.kill()
        said, complained = (file.read_text(errors="replace") for file in (files.stdout, files.stderr))
        return subprocess.CompletedProcess(process.args, status, said, complained)
