"""Who may reach the queue, and what a job may reach."""

import json
import shutil
import stat
import subprocess

import psutil
import pytest
from faults import assert_promise_kept, faulty
from redis_server import free_port
from sqlalchemy import text

from models.checkpoints import DEMO_FOLDER
from models.types.states import JobState
from producer.local.embedded_server import _socket_path

PASSWORD = "sesame-7"


def make_and_expect_no_secret(nightshift):
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    batch = nightshift.enqueue("--prompt", "a red boot")
    (job,) = nightshift.wait_until_finished(batch)
    assert job.state == JobState.SUCCEEDED
    doctor = nightshift.producer("doctor")
    assert PASSWORD not in worker.log + doctor.stdout + doctor.stderr
    assert_promise_kept(nightshift)


def test_a_user_of_redis_with_no_more_rights_than_the_queue_needs(installation, new_server):
    server = new_server()
    server.start()
    with server.client() as client:
        client.execute_command(
            "ACL", "SETUSER", "shoes", "on", f">{PASSWORD}", "~nightshift:*", "&nightshift:*", "+@all", "-@dangerous"
        )
        client.execute_command("ACL", "SETUSER", "default", "off")
    with faulty(installation, f"redis://shoes:{PASSWORD}@127.0.0.1:{server.port}/0") as (nightshift, _):
        make_and_expect_no_secret(nightshift)
        wrong = nightshift.producer(
            "enqueue", "--prompt", "x", NIGHTSHIFT_BROKER_URL=f"redis://127.0.0.1:{server.port}/0"
        )
        assert wrong.returncode == 1
        assert "does not let us in" in wrong.stderr


@pytest.fixture
def authority(tmp_path):
    """The files of a certificate authority of the test's own, and of the server it vouches for."""
    if shutil.which("openssl") is None:
        pytest.skip("needs `openssl` to make certificates")
    who = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    files = ("-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "certificate.pem"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *who, *files],
        check=True,
        capture_output=True,
    )
    return tmp_path


def test_rediss_speaks_tls_and_knows_its_server(installation, authority, tmp_path_factory):
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("needs a `redis-server` that was built with TLS")
    port = free_port()
    options = ["--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no", "--save", ""]
    options += ["--requirepass", PASSWORD]
    files = ["--tls-cert-file", str(authority / "certificate.pem"), "--tls-key-file", str(authority / "key.pem")]
    files += ["--tls-ca-cert-file", str(authority / "certificate.pem")]
    server = subprocess.Popen([program, *options, *files, "--dir", str(tmp_path_factory.mktemp("tls"))])
    url = f"rediss://:{PASSWORD}@127.0.0.1:{port}/0?ssl_cert_reqs=required"
    try:
        with faulty(installation, f"{url}&ssl_ca_certs={authority / 'certificate.pem'}") as (nightshift, _):
            make_and_expect_no_secret(nightshift)
            stranger = nightshift.producer("enqueue", "--prompt", "x", NIGHTSHIFT_BROKER_URL=url)
            assert stranger.returncode == 1
            assert "certificate" in stranger.stderr
            assert PASSWORD not in stranger.stderr
    finally:
        server.kill()
        server.wait()


def test_the_embedded_server_lets_nobody_in_but_its_user(nightshift, faults):
    faults.hold("step")
    run = nightshift.start_producer("run", "--prompt", "a red boot")
    faults.wait_until_held("step")
    folder = nightshift.data_dir / "run"
    assert stat.S_IMODE(_socket_path(folder).stat().st_mode) & 0o077 == 0
    server = psutil.Process(json.loads((folder / "server.pid").read_text())["pid"])
    assert server.net_connections("inet") == []
    faults.release("step")
    assert run.wait()
    assert run.status == 0


def test_a_job_takes_no_checkpoint_from_outside_of_the_folders_that_the_worker_allows(nightshift, tmp_path):
    allowed, outside = tmp_path / "allowed", tmp_path / "outside"
    shutil.copytree(DEMO_FOLDER, allowed / "demo")
    shutil.copytree(DEMO_FOLDER, outside / "demo")
    (allowed / "link").symlink_to(outside / "demo")
    folders = {"NIGHTSHIFT_CHECKPOINT_FOLDERS": str(allowed)}
    nightshift.wait_until_ready(nightshift.start_worker(**folders))
    everywhere = {"NIGHTSHIFT_CHECKPOINT_FOLDERS": "/"}
    names = [allowed / "demo", outside / "demo", allowed / "link", allowed / ".." / "outside" / "demo"]
    for name in names:
        # A producer with other settings than the worker's.
        done = nightshift.producer("enqueue", "--new", "--prompt", "a red boot", "--checkpoint", name, **everywhere)
        assert done.returncode == 0, done.stderr
    first, *others = nightshift.wait_until_finished()
    assert first.state == JobState.SUCCEEDED
    assert [(job.state, job.cause) for job in others] == [(JobState.FAILED, "checkpoint")] * 3
    assert all("NIGHTSHIFT_CHECKPOINT_FOLDERS" in job.error for job in others)

    refused = nightshift.producer("enqueue", "--prompt", "a red boot", "--checkpoint", outside / "demo", **folders)
    assert refused.returncode == 1
    assert "lies outside of" in refused.stderr
    assert_promise_kept(nightshift)


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("width", 100_000, "width: "),
        ("steps", 10**6, "steps: "),
        # PostgreSQL does not take it.
        pytest.param("prompt", "a\0b", "prompt: ", marks=pytest.mark.of_sqlite),
        ("seed", -1, "seed: "),
    ],
)
def test_a_row_that_was_changed_by_hand_to_what_no_job_may_have_fails(nightshift, faults, column, value, says):
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    with nightshift.database.writing() as session:
        session.execute(text(f"UPDATE jobs SET {column} = :value WHERE id = 1"), {"value": value})
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    spoiled, made = nightshift.wait_until_finished(batch)
    assert (spoiled.state, spoiled.cause, made.state) == (JobState.FAILED, "invalid", JobState.SUCCEEDED)
    assert spoiled.error.startswith(says)
    assert worker.status is None
