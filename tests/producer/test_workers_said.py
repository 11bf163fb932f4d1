"""`producer workers` beside a database that is away: it is said once, and again when it is another trouble."""

from typing import Any

import pytest

from models.types.errors import DatabaseError
from producer.commands.machine.workers import Told


class Away:
    """Workers that cannot be looked after, for the reasons given, one a look."""

    def __init__(self, *reasons):
        self._reasons = list(reasons)

    def look_after(self):
        reason = self._reasons.pop(0)
        if reason is not None:
            raise DatabaseError(reason)


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        (["away"] * 5, ["away"]),
        (["away", None, "away"], ["away", "away"]),
        (["away", "full", "full"], ["away", "full"]),
    ],
)
def test_a_trouble_is_said_once_for_as_long_as_it_lasts(reasons, said, capsys):
    workers: Any = Away(*reasons)
    told = Told(workers)
    for _ in reasons:
        told.look_after()
    assert capsys.readouterr().err == "".join(f"{reason}; this looks again\n" for reason in said)
