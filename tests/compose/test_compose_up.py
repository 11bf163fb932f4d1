"""docker-compose.yml brought up on a real engine: what was queued outlives every way of stopping the container."""

import pytest
import redis
from compose_project import compose_command, compose_project, need_engine, pinned_image, run

from models.types.message import DEFAULT_QUEUE
from worker.queue.app import KEY_PREFIX

JOBS = 20


@pytest.fixture(scope="module")
def project():
    need_engine()
    compose_command()
    with pinned_image(), compose_project() as running:
        yield running


@pytest.fixture
def broker_url(project):
    url = f"redis://127.0.0.1:{project.port}/0"
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return url


def count_jobs(broker_url: str) -> int:
    """Return how many jobs wait on the queue, of whatever priority."""
    with redis.Redis.from_url(broker_url) as client:
        return sum(client.llen(key) for key in client.scan_iter(f"{KEY_PREFIX}{DEFAULT_QUEUE}*"))


def restart(project):
    project.compose("restart", "redis")
    project.wait_healthy()


def kill_and_up(project):
    project.compose("kill", "redis")
    project.up()


def remove_and_up(project):
    # A new container has nothing but the volume.
    project.compose("rm", "--stop", "--force", "redis")
    project.up()


@pytest.mark.parametrize("stop_and_start", [restart, kill_and_up, remove_and_up])
def test_twenty_jobs_outlive(project, broker_url, installation, stop_and_start):
    with installation(broker_url) as nightshift:
        nightshift.enqueue("--prompt", "a casual shoe", "--count", JOBS)
    assert count_jobs(broker_url) == JOBS
    started = run("docker", "inspect", "--format", "{{.State.StartedAt}}", project.container())
    stop_and_start(project)
    assert run("docker", "inspect", "--format", "{{.State.StartedAt}}", project.container()) != started
    assert count_jobs(broker_url) == JOBS


def test_the_running_server_has_the_settings_of_the_file(broker_url):
    with redis.Redis.from_url(broker_url) as client:
        settings = client.config_get("appendonly", "appendfsync", "maxmemory-policy")
    assert settings == {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction"}


def test_the_engine_publishes_the_port_on_loopback_alone(project):
    assert run("docker", "port", project.container()).split() == ["6379/tcp", "->", f"127.0.0.1:{project.port}"]
