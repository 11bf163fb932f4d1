"""What the fault tests share."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from faults import Faults, faulty
from installation import Installation
from redis_server import RedisServer


@pytest.fixture(scope="module")
def own_server(new_server: Callable[..., RedisServer]) -> RedisServer:
    """Give a module a server that it may kill, and whose queue holds nothing of others."""
    made = new_server()
    made.start()
    return made


@pytest.fixture
def both(installation: Callable[..., Any]) -> Iterator[tuple[Installation, Faults]]:
    with faulty(installation) as made:
        yield made


@pytest.fixture
def nightshift(both: tuple[Installation, Faults]) -> Installation:
    """Give a test an installation whose workers obey `faults`."""
    return both[0]


@pytest.fixture
def faults(both: tuple[Installation, Faults]) -> Faults:
    return both[1]
