"""`producer doctor`: what is right, and for each thing that is wrong what to do about it."""

import json
import re

import pytest
from faults import faulty

from models.checkpoints import DEMO_FOLDER
from producer.actions.machine.diagnosis import diagnose_device

pytestmark = pytest.mark.slow


def checks(installation, **variables):
    done = installation.producer("doctor", "--json", **variables)
    found = {check["name"]: check for check in json.loads(done.stdout)}
    wrong = {name: check["remedy"] for name, check in found.items() if check["remedy"]}
    assert done.returncode == (1 if wrong else 0)
    return found, wrong


def test_it_names_the_device_the_server_the_record_and_the_checkpoint(nightshift):
    nightshift.enqueue("--prompt", "a shoe")
    found, _ = checks(nightshift)
    assert found["device"]["found"].startswith("cpu: ")
    assert "torch " in found["versions"]["found"]
    assert found["redis"]["found"].startswith("valkey ")
    assert found["database"]["found"].endswith(", 1 jobs")
    assert found["checkpoint"]["found"].startswith("demo (sha256:")
    assert found["checkpoint"]["found"].endswith(str(DEMO_FOLDER))
    assert found["checkpoint"]["remedy"] is None
    assert found["NIGHTSHIFT_DEVICE"]["found"].startswith("cpu  [")


def test_a_line_each_with_what_to_do_under_what_is_wrong(nightshift):
    shown = nightshift.producer("doctor", NIGHTSHIFT_DEVICE="cuda").stdout.splitlines()
    (number,) = [place for place, line in enumerate(shown) if line.startswith("WRONG device: ")]
    assert shown[number + 1].startswith("      -> ")


def test_what_is_wrong_is_named_with_its_remedy(nightshift):
    remedies = {
        ("NIGHTSHIFT_DEVICE", "cuda"): ("device", "cuda"),
        ("NIGHTSHIFT_BROKER_URL", "redis://127.0.0.1:1/0"): ("redis", "docker compose up redis"),
        ("NIGHTSHIFT_DATABASE_URL", "sqlite:////proc/none/nightshift.db"): ("database", "/proc/none"),
        ("NIGHTSHIFT_CHECKPOINT", "/no/such/folder"): ("checkpoint", "there is no such file or folder"),
        ("NIGHTSHIFT_DEVISE", "cpu"): ("NIGHTSHIFT_DEVISE", "see the list above"),
    }
    _, usual = checks(nightshift)
    _, wrong = checks(nightshift, **dict([*remedies]))
    named = dict(remedies.values())
    assert {check for check, what in wrong.items() if what != usual.get(check)} == named.keys()
    assert {check for check, remedy in named.items() if remedy not in wrong[check]} == set()


def test_a_record_that_cannot_be_read_is_said_so(nightshift):
    nightshift.data_dir.mkdir()
    (nightshift.data_dir / "nightshift.db").write_bytes(b"no database, but a text of some length" * 100)
    _, wrong = checks(nightshift)
    assert "nightshift.db" in wrong["database"]


def test_a_device_is_put_to_the_test_by_a_picture(nightshift):
    done = nightshift.producer("doctor", "--device", "--checkpoint", "demo")
    assert done.returncode == 0, done.stdout
    assert "making a small picture with demo" in done.stderr
    first, second, *_ = done.stdout.splitlines()
    assert re.match(r"ok +device check: 128x128 in 4 steps took .+ in float32 on cpu \(.+\), .+ on the CPU$", first)
    assert second == "ok    device picture: differs from the CPU's by 0.00 of 255 on average, 0.50 is allowed"


@pytest.fixture
def of_stand_in(installation, monkeypatch):
    """Look at a device that can be told to err, as `doctor --device` does; return what it finds."""
    with faulty(installation, NIGHTSHIFT_DEVICE="mps", STAND_IN="7") as (nightshift, faults):
        for name, value in nightshift.environment.items():
            monkeypatch.setenv(name, value)
        yield lambda: list(diagnose_device("demo", "faulty_device_check")), faults


def test_a_device_that_does_as_it_is_told_is_found_to_do_so(of_stand_in):
    look, _ = of_stand_in
    check, picture, *memory = look()
    assert "in float32 on mps (stand-in GPU)" in check.found
    assert picture.remedy is None
    held = "0 B before the load, 0 B after it, 7 B after the picture"
    assert ("device, held by the driver", held) in [(finding.name, finding.found) for finding in memory]


@pytest.mark.parametrize(
    ("place", "how", "name", "said"),
    [
        ("decoding", "dim", "device picture", "what this device makes cannot be trusted"),
        ("computing", "stale", "device check", "the device no longer computes: 1 + 1 came to 1"),
        ("step", "kill", "device check", "the device's driver ended the process (SIGKILL)"),
    ],
)
def test_a_device_that_errs_is_found_out(of_stand_in, place, how, name, said):
    look, faults = of_stand_in
    faults.at(place, how)
    (wrong,) = [finding for finding in look() if finding.remedy]
    assert wrong.name == name
    assert said in wrong.remedy


def test_what_cannot_be_made_for_the_test_says_why(nightshift):
    done = nightshift.producer("doctor", "--device", "--checkpoint", "/no/such")
    assert done.returncode == 1
    assert "there is no such file or folder" in done.stdout
    alone = nightshift.producer("doctor", "--checkpoint", "demo")
    assert (alone.returncode, alone.stderr.splitlines()[-1]) == (2, "Error: --checkpoint goes with --device")
