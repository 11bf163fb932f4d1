"""README and manual are true: their commands run as they stand, and what is made of the program is up to date."""

import re
import shlex
import signal
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from programs import run_producer
from safetensors.torch import load_file, save_file

from docs.generated import PAGES, made
from models.checkpoints import DEMO_FOLDER

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
#: In the order in which a reader comes to them: a page goes on with what the one before has made.
READ = [
    ROOT / "README.md",
    *(DOCS / f"{page}.md" for page in ("prompts", "checks", "loras", "datasets", "training")),
    ROOT / "examples" / "train_lora.md",
    *(DOCS / f"{page}.md" for page in ("figures", "operations", "troubleshooting", "settings")),
]
ALL = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md")), ROOT / "examples" / "train_lora.md"]
MOST_BYTES = 8192
#: One of the demo's that a LoRA may change.
LAYER = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.weight"
PATIENCE_S = 120

#: Lines that need what this machine may not have, or that would stay on it: tests/compose, test_download.py and
#: test_service.py of tests/producer, test_python_version.py and test_wheel.py of tests/system run them, as far as that
#: can be done without a Mac.
ELSEWHERE = {
    "docker compose up redis",
    "producer download",
    "producer service install",
    "producer service status",
    "xcode-select --install",
    "brew install python@3.13",
    "make demo PYTHON=python3.13",
    "source .venv/bin/activate",
    "pipx install nightshift-0.1.0-py3-none-any.whl",
}
WORKER = "celery -A worker worker"
#: Those that have a worker of their own, which takes the device.
OWN_WORKER = ("producer run", "producer bench")
#: Those that wait for one to have made what is queued.
WAITING = ("producer watch",)
#: Those that only look, and are not run again where another page has them too.
LOOKING = ("producer doctor",)
#: doctor finds fault with a server that keeps no append-only file, which is right here.
MAY_FAIL = {"producer doctor"}


def blocks(language: str, page: Path) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def lines(page: Path) -> list[str]:
    return [line for block in blocks("sh", page) for line in block.splitlines()]


class Terminal:
    """A shell in a folder with the README's prompt files, and the worker that it has started."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._log = folder / "worker.log"
        self._environment = environment
        self._worker: subprocess.Popen[bytes] | None = None

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        program, *arguments = shlex.split(line)
        # As the shell would, but in a process that need not import what it needs.
        if program == "producer":
            return run_producer(arguments, self._environment, self._folder)
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
        if self._worker is not None:
            return
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


def _write_lora(file: Path) -> None:
    """Write a LoRA that adds nothing to one layer of the demo."""
    layer = "lora_unet_" + LAYER.removesuffix(".weight").replace(".", "_")
    width = load_file(DEMO_FOLDER / "unet" / "diffusion_pytorch_model.safetensors")[LAYER].shape[0]
    tensors = {"lora_down.weight": torch.ones(1, width), "lora_up.weight": torch.zeros(width, 1)}
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({f"{layer}.{name}": tensor for name, tensor in (tensors | {"alpha": torch.tensor(1.0)}).items()}, file)


@pytest.fixture
def terminal(tmp_path: Path, environment: dict[str, str]) -> Iterator[Terminal]:
    (tmp_path / "shoes.txt").write_text("\n".join((ROOT / "examples" / "shoes.txt").read_text().splitlines()[:2]))
    (csv,) = blocks("csv", DOCS / "prompts.md")
    (tmp_path / "shoes.csv").write_text(csv)
    path = f"{sysconfig.get_path('scripts')}:/usr/local/bin:/usr/bin:/bin"
    *_, template = blocks("text", DOCS / "prompts.md")
    (tmp_path / "casual.txt").write_text(template)
    for name in ("olive", "leather", "shoes/olive-500", "shoes/olive-1000"):
        _write_lora(Path(environment["NIGHTSHIFT_DATA_DIR"]) / "loras" / f"{name}.safetensors")
    shell = Terminal(tmp_path, environment | {"PATH": path, "HOME": str(tmp_path)})
    yield shell
    shell.stop_worker()


# Some sixty programs one after the other.
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_command_runs_as_it_stands(terminal: Terminal):
    ran = set()
    for page in READ:
        for line in [line for line in lines(page) if line not in ELSEWHERE]:
            if line.startswith(LOOKING) and line in ran:
                continue
            ran.add(line)
            if line == WORKER:
                terminal.start_worker()
                continue
            if line.startswith(OWN_WORKER):
                terminal.stop_worker()
            if line.startswith(WAITING):
                terminal.start_worker()
            done = terminal.run(line)
            assert done.returncode == 0 or (line in MAY_FAIL and "Traceback" not in done.stderr), (
                page.name,
                line,
                done,
            )
        for block in blocks("python", page):
            done = terminal.run(f"python -c {shlex.quote(block)}")
            assert done.returncode == 0, done
            assert "num_rows" in done.stdout
    assert ran >= {
        WORKER,
        "producer enqueue --prompts shoes.txt",
        "producer report",
        "producer run --prompts shoes.txt",
    }


def test_no_page_has_commands_that_are_not_run():
    assert [page.name for page in ALL if page not in READ and lines(page)] == []


@pytest.mark.parametrize("page", PAGES)
def test_what_is_made_of_the_program_is_up_to_date(page: str):
    assert (DOCS / page).read_text() == made(page), "make docs"


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_bytes()) <= MOST_BYTES


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_links_lead_to_what_is_there(page: Path):
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()) if "://" not in target]
    for target in targets:
        file, _, heading = target.partition("#")
        there = page.parent / file if file else page
        assert there.exists(), target
        assert not heading or heading in _headings(there), target


def test_every_page_is_linked_from_the_readme_or_from_one_that_is():
    linked, unread = set(), [ROOT / "README.md"]
    while unread:
        page = unread.pop()
        linked.add(page)
        found = re.findall(r"\]\(([\w./]+\.md)", page.read_text())
        unread += [target for name in found if (target := (page.parent / name).resolve()) not in linked]
    assert [page.name for page in ALL if page not in linked] == []


def _headings(page: Path) -> set[str]:
    found = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}
