"""The README is true: its commands run as they stand, its tables name what there is."""

import re
import shlex
import signal
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.settings import PREFIX, Settings
from producer.cli import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
TRAIN_LORA = (ROOT / "examples" / "train_lora.md").read_text()
PATIENCE_S = 120

#: Lines that need what this machine may not have, or that would stay on it: tests/compose, test_download.py and
#: test_service.py of tests/producer, and tests/system/test_python_version.py run them, as far as can be without a Mac.
ELSEWHERE = {
    "docker compose up redis",
    "producer download",
    "producer service install",
    "xcode-select --install",
    "brew install python@3.13",
    "make demo PYTHON=python3.13",
    "source .venv/bin/activate",
}
WORKER = "celery -A worker worker"
#: doctor finds fault with a server that keeps no append-only file, which is right here.
MAY_FAIL = {"producer doctor"}


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def lines() -> list[str]:
    """Return the commands, and those of the example that goes on from the README's batch."""
    return [line for text in (README, TRAIN_LORA) for block in blocks("sh", text) for line in block.splitlines()]


class Terminal:
    """A shell in a folder with the README's prompt files, and the worker that it has started."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._log = folder / "worker.log"
        self._environment = environment
        self._worker: subprocess.Popen[bytes] | None = None

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", line],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE_S,
        )

    def start_worker(self) -> None:
        with self._log.open("wb") as log:
            self._worker = subprocess.Popen(
                ["bash", "-c", f"exec {WORKER}"], cwd=self._folder, env=self._environment, stdout=log, stderr=log
            )

    def stop_worker(self) -> None:
        if self._worker is None:
            return
        deadline = time.monotonic() + PATIENCE_S
        # Until it is ready its signals are Python's own, and an orderly end is not to be had.
        while "ready for jobs" not in self._log.read_text() and self._worker.poll() is None:
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)
        self._worker.send_signal(signal.SIGTERM)
        assert self._worker.wait(PATIENCE_S) == 0, self._log.read_text()
        self._worker = None


@pytest.fixture
def terminal(tmp_path: Path, environment: dict[str, str]) -> Iterator[Terminal]:
    (tmp_path / "shoes.txt").write_text("\n".join((ROOT / "examples" / "shoes.txt").read_text().splitlines()[:4]))
    (csv,) = blocks("csv")
    (tmp_path / "shoes.csv").write_text(csv)
    path = f"{sysconfig.get_path('scripts')}:/usr/local/bin:/usr/bin:/bin"
    *_, template = blocks("text")
    (tmp_path / "casual.txt").write_text(template)
    made = Terminal(tmp_path, environment | {"PATH": path, "HOME": str(tmp_path)})
    yield made
    made.stop_worker()


# Some thirty programs one after the other, and two hundred seconds on a machine that does something else, too.
@pytest.mark.timeout(900)
def test_every_command_of_the_readme_runs_as_it_stands(terminal: Terminal):
    ran = set()
    for line in lines():
        if line in ELSEWHERE:
            continue
        if line == WORKER:
            terminal.start_worker()
        else:
            own_worker = line.startswith("producer run")
            if own_worker:
                terminal.stop_worker()
            done = terminal.run(line)
            assert done.returncode == 0 or (line in MAY_FAIL and "Traceback" not in done.stderr), (line, done)
            if own_worker:
                terminal.start_worker()
        ran.add(line.split()[1])
    for block in blocks("python"):
        done = terminal.run(f"python -c {shlex.quote(block)}")
        assert done.returncode == 0, done
        assert "num_rows" in done.stdout
    assert {"enqueue", "report", "run", "watch", "-A"} <= ran


def test_the_table_of_commands_is_complete():
    table = README.partition("| command | what it does |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `([a-z]+)", table, re.MULTILINE)) == set(COMMANDS)


def test_the_table_of_settings_is_complete_and_its_defaults_are_true(monkeypatch: pytest.MonkeyPatch):
    rows = dict(re.findall(rf"^\| `{PREFIX}([A-Z_]+)` \| `?([^`|]*?)`? \|", README, re.MULTILINE))
    assert {name.lower() for name in rows} == set(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        shown = rows[name.upper()]
        default = "" if shown == "empty" else shown
        assert str(default) == (
            str(field.default).lower()
            if isinstance(field.default, bool)
            else f"{field.default:g}"
            if isinstance(field.default, float)
            else str(field.default)
        ), name


def test_pictures_of_the_readme_are_there():
    for target in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README):
        assert (ROOT / target).is_file(), target
