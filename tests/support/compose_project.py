"""What the compose tests drive: the compose command, one project of its own, and an image to run it with."""

import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

COMPOSE_FILE = Path(__file__).parents[2] / "docker-compose.yml"
#: Marks the stand-in image, so that one left by a killed run is never taken for the official one.
STAND_IN_LABEL = "nightshift.stand-in"


def load_compose_file() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))
    return content


def run(*command: str, stdin: bytes = b"", env: dict[str, str] | None = None) -> str:
    """Run `command` and return its standard output; a failure shows both streams."""
    done = subprocess.run(command, input=stdin, capture_output=True, env=env, timeout=120)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout.decode()}{done.stderr.decode()}"
    return done.stdout.decode()


def succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def compose_command() -> list[str]:
    """Return `docker compose`, else `docker-compose`; skip the test where neither is installed."""
    if succeeds("docker", "compose", "version"):
        return ["docker", "compose"]
    if succeeds("docker-compose", "version"):
        return ["docker-compose"]
    pytest.skip("neither `docker compose` nor `docker-compose` is installed")


def need_engine() -> None:
    if not succeeds("docker", "info"):
        pytest.skip("no Docker engine answers `docker info`")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@dataclass(frozen=True)
class ComposeProject:
    """The compose file under a project name and a host port of its own, so that a user's queue is never touched."""

    command: list[str]
    name: str
    port: int

    def compose(self, *arguments: str) -> str:
        env = {**os.environ, "NIGHTSHIFT_REDIS_PORT": str(self.port)}
        return run(*self.command, "-f", str(COMPOSE_FILE), "-p", self.name, *arguments, env=env)

    def container(self) -> str:
        return self.compose("ps", "--all", "-q", "redis").strip()

    def wait_healthy(self, within_s: float = 60) -> None:
        """Poll the container's own health check until it passes."""
        deadline = time.monotonic() + within_s
        state = ""
        while time.monotonic() < deadline:
            state = run("docker", "inspect", "--format", "{{.State.Status}} {{.State.Health.Status}}", self.container())
            if state.strip() == "running healthy":
                return
            time.sleep(0.2)
        pytest.fail(f"redis is {state.strip()!r} after {within_s} s\n{self.compose('logs', 'redis')}")

    def up(self) -> None:
        self.compose("up", "-d", "redis")
        self.wait_healthy()


@contextmanager
def compose_project() -> Iterator[ComposeProject]:
    """Bring the file up as a project that is gone afterwards, its volume included."""
    project = ComposeProject(compose_command(), f"nightshift-test-{uuid.uuid4().hex[:8]}", free_port())
    try:
        project.up()
        yield project
    finally:
        project.compose("down", "--volumes", "--remove-orphans")


@contextmanager
def pinned_image() -> Iterator[None]:
    """Have an image under the name that the file pins: the official one if it is here, else a stand-in.

    The stand-in is this machine's redis-server, so that the file can be tried where no registry is reached.
    """
    image = load_compose_file()["services"]["redis"]["image"]
    present = succeeds("docker", "image", "inspect", image)
    if present and not _is_stand_in(image):
        yield
        return
    if not present:
        _build_stand_in(image)
    try:
        yield
    finally:
        run("docker", "image", "rm", "--force", image)


def _is_stand_in(image: str) -> bool:
    labels = run("docker", "image", "inspect", "--format", "{{json .Config.Labels}}", image)
    return STAND_IN_LABEL in labels


def _build_stand_in(image: str) -> None:
    server, client = shutil.which("redis-server"), shutil.which("redis-cli")
    if not (server and client and shutil.which("ldd") and sys.platform == "linux"):
        pytest.skip(f"{image} is not here (`docker pull {image}`), nor a Linux redis-server to stand in for it")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", dereference=True) as tar:
        for program in (server, client):
            tar.add(program, f"usr/bin/{Path(program).name}")
        for library in sorted(_libraries(server) | _libraries(client)):
            tar.add(library, library.lstrip("/"))
    changes = ("ENV PATH=/usr/bin", "WORKDIR /data", 'CMD ["redis-server"]', f"LABEL {STAND_IN_LABEL}=yes")
    flags = [flag for change in changes for flag in ("--change", change)]
    run("docker", "import", *flags, "-", image, stdin=archive.getvalue())


def _libraries(program: str) -> set[str]:
    """Return the shared libraries that `program` loads, its loader among them, as absolute paths."""
    return {word for word in run("ldd", program).split() if word.startswith("/")}
