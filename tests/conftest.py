"""Fixtures for all tests: a server, and installations with data folders and queues of their own."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

# pytest puts this folder on the path, where `tests/worker` and `tests/producer` would pass for the packages of those
# names. The settings of whoever runs the tests are not for the tests either.
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).resolve().parent]
for _variable in [name for name in os.environ if name.upper().startswith("NIGHTSHIFT_")]:
    del os.environ[_variable]

from installation import Installation, RedisServer, WorkerProcess  # noqa: E402

_Value = TypeVar("_Value")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The server that most tests share, each with a database of its own."""
    server = RedisServer(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def new_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RedisServer]]:
    """Return a maker of servers that are not running yet, for tests that start and kill them."""
    servers: list[RedisServer] = []

    def make(password: str = "", *, append_only: bool = False) -> RedisServer:
        servers.append(RedisServer(tmp_path_factory.mktemp("server"), password, append_only=append_only))
        return servers[-1]

    yield make
    for server in servers:
        server.kill()


@pytest.fixture(scope="session")
def installation(
    server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., AbstractContextManager[Installation]]:
    """Return a context manager that yields an `Installation` and stops its workers at the end.

    For fixtures of any scope: tests that can share a worker do, since each takes seconds to start.
    """
    numbers = itertools.count(1)

    @contextmanager
    def make(broker_url: str | None = None, **settings: str) -> Iterator[Installation]:
        made = Installation(tmp_path_factory.mktemp("nightshift"), broker_url or server.url(next(numbers)), **settings)
        try:
            yield made
        finally:
            made.close()

    return make


@pytest.fixture
def nightshift(installation: Callable[..., Any]) -> Iterator[Installation]:
    """Give a test an installation of its own; a module that shares one overrides this fixture."""
    with installation() as made:
        yield made


@pytest.fixture
def data_dir(nightshift: Installation) -> Path:
    return nightshift.data_dir


@pytest.fixture
def environment(nightshift: Installation) -> dict[str, str]:
    """Return the variables that producer and worker run with."""
    return nightshift.environment


@pytest.fixture
def producer(nightshift: Installation) -> Callable[..., subprocess.CompletedProcess[str]]:
    return nightshift.producer


@pytest.fixture
def start_worker(nightshift: Installation) -> Callable[..., WorkerProcess]:
    return nightshift.start_worker


@pytest.fixture
def wait_until(nightshift: Installation) -> Callable[[Callable[[], _Value], str], _Value]:
    return nightshift.wait_until
