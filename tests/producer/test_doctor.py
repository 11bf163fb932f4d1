"""`producer doctor`: what is right, and for each thing that is wrong what to do about it."""

import json

import pytest

from models.checkpoints import DEMO_FOLDER


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


@pytest.mark.parametrize(
    ("variables", "name", "remedy"),
    [
        ({"NIGHTSHIFT_DEVICE": "cuda"}, "device", "cuda"),
        ({"NIGHTSHIFT_BROKER_URL": "redis://127.0.0.1:1/0"}, "redis", "docker compose up redis"),
        ({"NIGHTSHIFT_DATABASE_URL": "sqlite:////proc/none/nightshift.db"}, "database", "/proc/none"),
        ({"NIGHTSHIFT_CHECKPOINT": "/no/such/folder"}, "checkpoint", "there is no such file or folder"),
        ({"NIGHTSHIFT_DEVISE": "cpu"}, "NIGHTSHIFT_DEVISE", "see the list above"),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(nightshift, variables, name, remedy):
    _, usual = checks(nightshift)
    _, wrong = checks(nightshift, **variables)
    assert {check for check, what in wrong.items() if what != usual.get(check)} == {name}
    assert remedy in wrong[name]


def test_a_record_that_cannot_be_read_is_said_so(nightshift):
    nightshift.data_dir.mkdir()
    (nightshift.data_dir / "nightshift.db").write_bytes(b"no database, but a text of some length" * 100)
    _, wrong = checks(nightshift)
    assert "nightshift.db" in wrong["database"]


def test_a_password_in_an_address_is_not_shown(nightshift):
    done = nightshift.producer("doctor", NIGHTSHIFT_BROKER_URL="redis://user:hunter2@127.0.0.1:1/0")
    assert "hunter2" not in done.stdout + done.stderr
