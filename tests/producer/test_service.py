"""`producer service`: the managers are stood in for by programs that note what they are told."""

import plistlib
import subprocess

import pytest

from models.types.errors import NightshiftError
from producer.local.services import launchd, registry, systemd
from producer.local.services.launchd import Launchd
from producer.local.services.manager import Service
from producer.local.services.systemd import Systemd


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Stand in for both programs, in a home of the test's own; return what they were told, a line each."""
    notes = tmp_path / "notes"
    for name, said in (("launchctl", "    state = running"), ("systemctl", "active")):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\necho \"$@\" >> {notes}\necho '{said}'\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(systemd, "_is_root", lambda: False)
    monkeypatch.setattr(launchd, "_domain", lambda: "gui/501")
    return lambda: notes.read_text().splitlines() if notes.exists() else []


@pytest.fixture
def service(tmp_path):
    return Service("nightshift-worker", tmp_path / "data", {"NIGHTSHIFT_BROKER_URL": "redis://:secret@x/0"})


@pytest.mark.parametrize(
    ("manager", "place", "first", "again", "end"),
    [
        (
            Launchd(),
            "home/Library/LaunchAgents/nightshift-worker.plist",
            ["bootstrap gui/501 {file}"],
            ["bootout gui/501/nightshift-worker", "bootstrap gui/501 {file}"],
            ["bootout gui/501/nightshift-worker"],
        ),
        (
            Systemd(),
            "home/.config/systemd/user/nightshift-worker.service",
            ["--user daemon-reload", "--user enable --now nightshift-worker"],
            ["--user disable --now nightshift-worker", "--user daemon-reload", "--user enable --now nightshift-worker"],
            ["--user disable --now nightshift-worker"],
        ),
    ],
    ids=["launchd", "systemd"],
)
def test_a_service_is_written_started_replaced_and_removed(tmp_path, told, service, manager, place, first, again, end):
    assert manager.installed() == []
    file = manager.install(service)
    assert file == tmp_path / place
    assert file.stat().st_mode & 0o777 == 0o600
    written = [path for path in file.parent.iterdir() if "redis://:secret@x/0" in path.read_text()]
    assert [path.stat().st_mode & 0o777 for path in written] == [0o600]
    assert service.folder.is_dir()
    assert manager.installed() == ["nightshift-worker"]
    assert told() == [line.format(file=file) for line in first]
    manager.install(service)
    assert told()[len(first) :] == [line.format(file=file) for line in again]
    assert manager.state("nightshift-worker") in ("running", "active")
    manager.remove("nightshift-worker")
    assert told()[-len(end) :] == end
    assert manager.installed() == []
    assert list(file.parent.iterdir()) == []


def test_a_file_that_others_could_read_is_theirs_no_more(told, service):
    manager = Systemd()
    manager.install(service)
    files = list(manager.folder.iterdir())
    for file in files:
        file.chmod(0o644)
    manager.install(service)
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_what_systemd_shows_to_everybody_holds_no_variable(told, service):
    assert "secret" not in Systemd().text(service)


@pytest.mark.parametrize("value", ["a b", 'a"b', "a\\b", "$HOME", "`id`", "%h", "'", "#x", "ü"])
def test_a_value_comes_to_a_program_as_it_is(tmp_path, value):
    """By the rules that systemd.exec(5) gives for such files, which are a shell's."""
    service = Service("nightshift-worker", tmp_path, {"VALUE": value})
    (text,) = [text for path, text in Systemd().files(service).items() if path.suffix == ".env"]
    (tmp_path / "variables").write_text(text)
    done = subprocess.run(
        ["sh", "-c", f'. {tmp_path}/variables; printf %s "$VALUE"'], capture_output=True, text=True, check=True
    )
    assert done.stdout == value


@pytest.mark.parametrize("bad", ["a\nExecStartPre=/bin/true", "a\rb", "a\x1b[2J", "a\x00b", "a\x7f"])
@pytest.mark.parametrize("where", ["value", "name", "folder"])
def test_no_value_is_more_than_one(tmp_path, bad, where):
    variables = {"value": {"VALUE": bad}, "name": {f"N{bad}": "x"}, "folder": {"VALUE": "x"}}[where]
    folder = tmp_path / bad if where == "folder" else tmp_path
    with pytest.raises(NightshiftError, match="holds a line break or another control character"):
        Service("nightshift-worker", folder, variables)


def test_what_the_manager_refuses_is_said_in_one_line(tmp_path, told, service):
    (tmp_path / "bin" / "systemctl").write_text("#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n")
    with pytest.raises(Exception, match=r"^systemctl --user daemon-reload: Failed to connect to bus$"):
        Systemd().install(service)


def test_other_agents_of_the_user_are_left_alone(tmp_path, told, service):
    manager = Launchd()
    manager.install(service)
    other = manager.folder / "com.example.other.plist"
    other.write_bytes(plistlib.dumps({"Label": "other"}))
    assert manager.installed() == ["nightshift-worker"]


@pytest.fixture
def booted(told, tmp_path, monkeypatch, installation):
    """A machine with systemd, in the test's own process."""
    monkeypatch.setattr(registry, "_BOOTED", tmp_path)
    return told


def run(*arguments):
    from click.testing import CliRunner

    from producer.cli import main

    return CliRunner().invoke(main, ["service", *arguments])


def test_the_command_installs_one_worker_a_device_with_the_settings_in_force(booted, tmp_path, monkeypatch):
    from models import settings

    settings.load_settings.cache_clear()
    monkeypatch.setenv("NIGHTSHIFT_DATA_DIR", str(tmp_path / "my data"))
    monkeypatch.setenv("NIGHTSHIFT_HANG_S", "77")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    monkeypatch.setenv("NIGHTSHIFT_BROKER_URL", "redis://:hidden@host/0")
    asked = run("install", "--device", "cuda:0")
    assert (asked.exit_code, booted()) == (1, [])
    assert "Install it? [y/N]: " in asked.output
    done = run("install", "--device", "cuda:0", "--device", "cuda:1", "--yes")
    settings.load_settings.cache_clear()
    assert done.exit_code == 0, done.output
    folder = tmp_path / "home/.config/systemd/user"
    for line in ("HANG_S=77.0  [environment]", "DEVICE=cuda:1  [--device]", "BROKER_URL=redis://"):
        assert f"  NIGHTSHIFT_{line}" in done.output
    assert "hidden" not in done.output
    assert done.output.splitlines()[-2:] == [
        f"nightshift-worker-cuda-{number} is active: {folder / f'nightshift-worker-cuda-{number}.service'}"
        for number in (0, 1)
    ]
    text = (folder / "nightshift-worker-cuda-1.env").read_text()
    for line in ('HANG_S="77.0"', f"""DATA_DIR="{tmp_path / "my data"}\"""", 'DEVICE="cuda:1"'):
        assert f"NIGHTSHIFT_{line}\n" in text
    assert 'CUDA_VISIBLE_DEVICES="2,3"\n' in text
    assert "NIGHTSHIFT_STALL_S" not in text
    assert f"nightshift-worker-cuda-0: active, {folder}" in run("status").output
    assert run("remove").output.splitlines() == [f"nightshift-worker-cuda-{n} is removed" for n in (0, 1)]
    assert "no service is installed" in run("status").output
    assert run("remove").exit_code == 2


def test_a_device_that_nobody_knows_is_refused(booted):
    done = run("install", "--device", "tpu")
    assert done.exit_code == 2
    assert "tpu is none of all, mps, cuda, cuda:N, cpu" in done.output


def test_a_machine_without_either_is_told_what_there_is_instead(told, monkeypatch, tmp_path):
    monkeypatch.setattr(registry, "_BOOTED", tmp_path / "none")
    done = run("install")
    assert done.exit_code == 1
    assert "neither launchd nor systemd runs here" in done.output
