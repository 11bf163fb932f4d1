"""What the fault tests share."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faults import Faults, faulty
from installation import Installation


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


@pytest.fixture
def elsewhere(nightshift: Installation, tmp_path: Path) -> dict[str, str]:
    """Return what makes a worker one of another host: its own locks, and the first one's pictures and rows."""
    (nightshift.data_dir / "pictures").mkdir(parents=True)
    for shared in ("pictures", "nightshift.db"):
        (tmp_path / shared).symlink_to(nightshift.data_dir / shared)
    return {
        "NIGHTSHIFT_DATA_DIR": str(tmp_path),
        "NIGHTSHIFT_DATABASE_URL": f"sqlite:///{nightshift.data_dir / 'nightshift.db'}",
    }
