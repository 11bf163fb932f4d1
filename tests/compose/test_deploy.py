"""What keeps a worker running: each file is read by the program that it is for, where that is here."""

import os
import plistlib
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from compose_project import compose_command

from models.types.exit_status import ExitStatus
from producer.local.services import systemd
from producer.local.services.launchd import Launchd
from producer.local.services.manager import Service
from producer.local.services.systemd import Systemd

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy"
#: After these a new worker goes on where the old one stopped.
RESTARTED = set(ExitStatus) - {ExitStatus.DONE, ExitStatus.CANNOT_START}
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


@pytest.fixture
def mac():
    """The service of the launchd example."""
    home = Path("/Users/me")
    values = {"NIGHTSHIFT_DATA_DIR": str(home / "nightshift")}
    return Service("nightshift-worker", home / "nightshift", values, str(home / "nightshift-src/.venv/bin/python"))


@pytest.fixture
def linux(monkeypatch):
    """The service of the systemd example, which is a user's own."""
    monkeypatch.setattr(systemd, "_is_root", lambda: False)
    home = Path("/home/me")
    monkeypatch.setenv("HOME", str(home))
    values = {"NIGHTSHIFT_DATA_DIR": str(home / "nightshift")}
    return Service("nightshift-worker", home / "nightshift", values, str(home / "nightshift-src/.venv/bin/python"))


def test_the_launchd_example_is_what_the_command_writes(mac):
    assert (FOLDER / "nightshift-worker.plist").read_text() == Launchd().text(mac)


def test_the_systemd_example_is_what_the_command_writes(linux):
    written = Systemd().files(linux)
    assert {path.name: text for path, text in written.items()} == {
        name: (FOLDER / name).read_text() for name in ("nightshift-worker.service", "nightshift-worker.env")
    }


def test_launchd_starts_it_at_login_and_again_after_each_status_but_0(mac):
    agent = plistlib.loads(Launchd().text(mac).encode())
    assert agent["Label"] == "nightshift-worker"
    assert agent["ProgramArguments"][-6:] == [mac.python, "-m", "celery", "-A", "worker", "worker"]
    assert (agent["RunAtLoad"], agent["KeepAlive"]) == (True, {"SuccessfulExit": False})
    assert agent["EnvironmentVariables"] == {"NIGHTSHIFT_DATA_DIR": "/Users/me/nightshift"}


def shell(service, script):
    """Return what launchd starts, with another program in the worker's place."""
    words = plistlib.loads(Launchd().text(service).encode())["ProgramArguments"]
    return [*words[: words.index(service.python)], sys.executable, "-c", script]


@pytest.mark.parametrize("status", list(ExitStatus))
def test_launchd_is_told_0_for_what_it_must_not_start_again(mac, status):
    said = subprocess.run(shell(mac, f"raise SystemExit({status.value})")).returncode
    assert (said != 0) == (status in RESTARTED)
    assert said in (0, status)


def test_a_worker_that_is_killed_is_no_success_for_launchd(mac):
    killed = subprocess.run(shell(mac, "import os; os.kill(os.getpid(), 9)"))
    assert killed.returncode == 128 + signal.SIGKILL


def test_what_launchd_says_reaches_the_worker_and_is_waited_for(mac):
    script = (
        "import signal, sys, threading\n"
        "told = threading.Event()\n"
        "signal.signal(signal.SIGTERM, lambda *_: told.set())\n"
        "print('up', flush=True)\n"
        "told.wait(60)\n"
        "print('finished', flush=True)\n"
    )
    with subprocess.Popen(shell(mac, script), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "finished\n"
        assert process.wait(60) == 0


def test_systemd_starts_it_again_unless_it_cannot_start(linux, tmp_path):
    # It looks whether program and folder are there; what units take as something else must come through as it is.
    folder = tmp_path / "50 % $HOME"
    folder.mkdir()
    odd = {"NIGHTSHIFT_BROKER_URL": 'redis://:50%"\\$HOME@x/0', "NIGHTSHIFT_DATA_DIR": str(folder)}
    service = replace(linux, python="/bin/true", folder=folder, environment=odd)
    text = Systemd().text(service)
    (variables,) = [content for path, content in Systemd().files(service).items() if path.suffix == ".env"]
    assert "Restart=on-failure\n" in text
    assert f"RestartPreventExitStatus={ExitStatus.CANNOT_START}\n" in text
    # In a file of variables a % is a %, and what a backslash stands before is taken as it is.
    assert 'NIGHTSHIFT_BROKER_URL="redis://:50%\\"\\\\\\$HOME@x/0"\n' in variables
    if shutil.which("systemd-analyze") is None:
        pytest.skip("the rest needs `systemd-analyze`")
    unit = tmp_path / "nightshift-worker.service"
    unit.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_compose_understands_it_and_publishes_no_port_of_the_worker():
    done = subprocess.run(
        [*compose_command(), "-f", "docker-compose.yml", "-f", str(FOLDER / "docker-compose.worker.yml"), "config"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    assert set(services) == {"redis", "worker"}
    assert services["worker"]["restart"] == "on-failure"
    assert "ports" not in services["worker"]
    assert services["worker"]["environment"]["NIGHTSHIFT_BROKER_URL"] == "redis://redis:6379/0"


@pytest.mark.parametrize(("status", "said"), [(1, 0), (0, 0), (71, 71), (73, 73)])
def test_the_container_is_told_0_for_what_it_must_not_start_again(tmp_path, status, said):
    worker = tmp_path / "celery"
    worker.write_text(f"#!/bin/sh\nexit {status}\n")
    worker.chmod(0o755)
    line = (FOLDER / "Dockerfile").read_text().splitlines()[-1]
    command = yaml.safe_load(line.removeprefix("CMD "))
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    assert subprocess.run(command, env=os.environ | {"PATH": path}).returncode == said


def test_the_manual_has_every_exit_status():
    table = OPERATIONS.partition("| exit status | means |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| `")]
    assert rows == [f"`{status}`" for status in ExitStatus]
