"""What keeps a worker running: each file is read by the program that it is for, where that is here."""

import json
import os
import plistlib
import re
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from compose_project import compose_command
from sqlalchemy import text

from models.records.batches import PlannedJob, create_batch
from models.records.control import Scope, cancel
from models.records.database import Database
from models.records.tables import Job
from models.settings import PREFIX, Settings
from models.types.exit_status import ExitStatus
from models.types.job import JobSpec
from producer.local.services import systemd
from producer.local.services.launchd import Launchd
from producer.local.services.manager import Service
from producer.local.services.systemd import Systemd

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy"
#: After these a new worker goes on where the old one stopped.
RESTARTED = set(ExitStatus) - {ExitStatus.DONE, ExitStatus.CANNOT_START}
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
DEPLOYING = (ROOT / "docs" / "deploying.md").read_text()
PROFILES = ("worker", "postgres", "objects", "serve", "monitoring")
KUBERNETES = "1.34"


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


@pytest.fixture(scope="module")
def composed(tmp_path_factory):
    """Return what docker-compose.yml says with all of its profiles, as Compose reads it where nothing is set."""
    empty = tmp_path_factory.mktemp("compose") / "empty.env"
    empty.touch()
    done = subprocess.run(
        [*compose_command(), *(f"--profile={name}" for name in PROFILES), f"--env-file={empty}", "config"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
    )
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)["services"]


def test_each_service_but_redis_has_a_profile_that_the_manual_names():
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert {name for name, service in services.items() if "profiles" not in service} == {"redis"}
    assert {one for service in services.values() for one in service.get("profiles", ())} == set(PROFILES)
    assert re.findall(r"^\| `(\w+)` \|", DEPLOYING, re.MULTILINE) == list(PROFILES)


def test_compose_understands_the_worker_and_publishes_no_port_of_it(composed):
    worker = composed["worker"]
    assert worker["restart"] == "on-failure"
    assert "ports" not in worker
    assert worker["environment"]["NIGHTSHIFT_BROKER_URL"] == "redis://redis:6379/0"
    assert not worker["environment"]["NIGHTSHIFT_DATABASE_URL"]


def test_each_image_is_of_one_release_and_each_port_on_loopback():
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name, service in services.items():
        assert "build" in service or re.search(r":\D*\d+\.\d+|:RELEASE\.\d{4}", service["image"]), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert "worker:9464" in (FOLDER / "prometheus.yml").read_text()


def manifests():
    for file in sorted((FOLDER / "kubernetes").glob("*.yml")):
        for manifest in yaml.safe_load_all(file.read_text()):
            yield pytest.param(manifest, id=f"{file.stem}-{manifest['kind']}")


@pytest.mark.parametrize("manifest", list(manifests()))
def test_kubernetes_knows_the_manifests(manifest):
    if manifest["apiVersion"].startswith("keda.sh/"):
        # Its schema is KEDA's own, and not here.
        assert manifest["kind"] in ("TriggerAuthentication", "ScaledObject")
        return
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    spoilt = manifest | {"kinds": "x"}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(spoilt, KUBERNETES, strict=True)


@pytest.fixture
def by_kind():
    return {parameter.values[0]["kind"]: parameter.values[0] for parameter in manifests()}


def test_the_manifests_fit_each_other(by_kind):
    worker = by_kind["StatefulSet"]["spec"]["template"]["spec"]
    for pod in (worker, by_kind["Job"]["spec"]["template"]["spec"]):
        (container,) = pod["containers"]
        assert container["envFrom"] == [{"configMapRef": {"name": "nightshift"}}, {"secretRef": {"name": "nightshift"}}]
        assert pod["securityContext"]["runAsNonRoot"] is True
    assert by_kind["ScaledObject"]["spec"]["scaleTargetRef"]["name"] == by_kind["StatefulSet"]["metadata"]["name"]
    (reference,) = by_kind["TriggerAuthentication"]["spec"]["secretTargetRef"]
    assert reference["key"] in by_kind["Secret"]["stringData"]
    told = by_kind["ConfigMap"]["data"] | by_kind["Secret"]["stringData"]
    settings = {name.removeprefix(PREFIX).lower() for name in told if name.startswith(PREFIX)}
    assert settings <= set(Settings.model_fields)
    assert worker["terminationGracePeriodSeconds"] == 600


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_query_that_workers_are_counted_by_counts_what_is_to_be_done(request, tmp_path, by_kind, database):
    (trigger,) = by_kind["ScaledObject"]["spec"]["triggers"]
    url = f"sqlite:///{tmp_path}/n.db" if database == "sqlite" else request.getfixturevalue("postgres").create()
    made = Database(url, migrate=True)
    spec = JobSpec(prompt="x", seed=1, steps=1, guidance=1, width=64, height=64, scheduler="DDIM", checkpoint="demo")
    with made.writing() as session:
        create_batch(session, "b", "-", [PlannedJob(spec)] * 3, priority=5, digest="d")
        cancel(session, Scope("a job", Job.id == 1))
    with made.reading() as session:
        assert session.scalar(text(trigger["metadata"]["query"])) == 2
    made.close()
    assert trigger["metadata"]["query"] in DEPLOYING


class Answering(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *what):
        pass


def test_the_container_has_no_root_and_says_how_it_is():
    lines = (FOLDER / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("USER ")] == ["USER nightshift"]
    (check,) = [line.partition("CMD ")[2] for line in lines if line.startswith("HEALTHCHECK")]
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        port = str(server.server_port)
        command = [sys.executable, *(word.replace("9464", port) for word in json.loads(check)[1:])]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert subprocess.run(command, capture_output=True).returncode == 0
        server.shutdown()
    assert subprocess.run(command, capture_output=True).returncode != 0


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
