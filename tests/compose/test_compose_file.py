"""What docker-compose.yml says: it is valid, safe by default, and loses no queue."""

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from compose_project import COMPOSE_FILE, compose_command, load_compose_file, run


@pytest.fixture
def redis_service():
    return load_compose_file()["services"]["redis"]


@pytest.fixture
def redis_flags(redis_service):
    return dict(pairwise(redis_service["command"]))


def check_schema(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_follows_the_compose_specification():
    done = check_schema(COMPOSE_FILE)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("right", "wrong"), [("ports:", "prots:"), ("restart: unless-stopped", "restart: 7"), ("services:", "service:")]
)
def test_the_schema_refuses_a_spoilt_copy(tmp_path, right, wrong):
    text = COMPOSE_FILE.read_text(encoding="utf-8")
    spoilt = tmp_path / "docker-compose.yml"
    spoilt.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    done = check_schema(spoilt)
    assert done.returncode == 1
    assert wrong.partition(":")[0] in done.stdout


def test_redis_is_pinned_to_an_exact_release(redis_service):
    assert re.fullmatch(r"redis:\d+\.\d+\.\d+(-[a-z0-9.]+)?", redis_service["image"])


def test_the_port_is_on_loopback_alone(redis_service):
    # Redis asks for no password here: on any other address the whole network could empty the queue.
    assert redis_service["ports"] == ["127.0.0.1:${NIGHTSHIFT_REDIS_PORT:-6379}:6379"]
    assert "network_mode" not in redis_service


def test_redis_keeps_its_queue_on_disk_and_throws_nothing_away(redis_flags):
    assert redis_flags["--appendonly"] == "yes"
    assert redis_flags["--appendfsync"] == "everysec"
    assert redis_flags["--maxmemory-policy"] == "noeviction"


def test_the_data_lie_on_a_named_volume(redis_service):
    (mount,) = redis_service["volumes"]
    name, _, target = mount.partition(":")
    assert target == "/data"
    assert name in load_compose_file()["volumes"]


def test_redis_is_health_checked_and_started_again(redis_service):
    assert redis_service["healthcheck"]["test"] == ["CMD", "redis-cli", "-e", "ping"]
    assert redis_service["restart"] == "unless-stopped"


@pytest.mark.parametrize(("setting", "port"), [(None, "6379"), ("7001", "7001")])
def test_compose_reads_the_port_from_the_environment(tmp_path, setting, port):
    env = {name: value for name, value in os.environ.items() if name != "NIGHTSHIFT_REDIS_PORT"}
    if setting:
        env["NIGHTSHIFT_REDIS_PORT"] = setting
    # Compose reads the developer's own .env too, unless another file takes its place.
    (tmp_path / "empty.env").touch()
    command = [*compose_command(), "--env-file", str(tmp_path / "empty.env"), "-f", str(COMPOSE_FILE), "config"]
    (published,) = yaml.safe_load(run(*command, env=env))["services"]["redis"]["ports"]
    if isinstance(published, dict):
        published = f"{published['host_ip']}:{published['published']}:{published['target']}"
    assert published.removesuffix("/tcp") == f"127.0.0.1:{port}:6379"
