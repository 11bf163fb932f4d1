"""Three hosts of one database, one object store and one queue: whatever goes away, each picture is made once."""

import os

import pytest
from faults import outcomes
from fleet import HOSTS, fleet, run
from postgres_server import postgres_binaries

JOBS = 40
#: Longer than a worker may be silent.
CUT_S = 8


@pytest.mark.skipif(os.geteuid() != 0, reason="networks of a test's own need root")
@pytest.mark.skipif(postgres_binaries() is None, reason="PostgreSQL is not installed")
@pytest.mark.timeout(600)
def test_each_picture_is_made_once_whatever_goes_away(tmp_path):
    with fleet(tmp_path) as made:
        by_host = run(made, JOBS, CUT_S)
        assert sum(by_host.values()) == JOBS
        figures = made.nightshift.read_json("report")["workers"]
        assert {figure["host"]: figure["pictures"] for figure in figures if figure["pictures"]} == by_host
        # The killed one's job was made by another, or by the worker that was started in its place.
        assert sum(figure["lost"] for figure in figures) >= 1
        assert "Workers" in made.nightshift.producer("report").stdout
        assert set(by_host) <= {f"host-{number}" for number in range(HOSTS)}
        # What was in hand where something went away was tried again, and nothing else was.
        tried = outcomes(made.nightshift)
        assert all(found == ["lost"] * (len(found) - 1) + ["succeeded"] for found in tried)
        assert sum(len(found) - 1 for found in tried) <= 6
