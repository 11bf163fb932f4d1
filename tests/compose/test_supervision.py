"""The examples that keep a worker running: read by the programs that they are for, where those are here."""

import plistlib
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from compose_project import compose_command

from models.exit_status import RESTARTED, ExitStatus

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "supervision"
README = (ROOT / "README.md").read_text()


def test_launchd_starts_it_again_after_each_status_but_the_orderly_end():
    agent = plistlib.loads((FOLDER / "nightshift.worker.plist").read_bytes())
    assert agent["ProgramArguments"][-4:] == ["/Users/me/nightshift-src/.venv/bin/celery", "-A", "worker", "worker"]
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert agent["RunAtLoad"] is True
    assert agent["Label"] == "nightshift.worker"


def test_systemd_starts_it_again_unless_it_cannot_start(tmp_path):
    unit = (FOLDER / "nightshift-worker.service").read_text()
    assert "Restart=on-failure\n" in unit
    assert f"RestartPreventExitStatus={ExitStatus.CANNOT_START}\n" in unit
    assert ExitStatus.CANNOT_START not in RESTARTED
    if shutil.which("systemd-analyze") is None:
        pytest.skip("the rest needs `systemd-analyze`")
    # It looks whether program and folder are there.
    mine = tmp_path / "nightshift-worker.service"
    mine.write_text(unit.replace("/home/me/nightshift-src/.venv/bin/celery", "/bin/true").replace("User=me\n", ""))
    done = subprocess.run(["systemd-analyze", "verify", str(mine)], capture_output=True, text=True)
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


def test_the_readme_has_every_exit_status():
    table = README.partition("| exit status | means |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| `")]
    assert rows == [f"`{status}`" for status in ExitStatus]
