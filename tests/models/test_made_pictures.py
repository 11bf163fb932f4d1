"""Reading the pictures of a batch: page by page, each once, with what was found of it, and none that is removed."""

import pytest
from installation import Installation
from made_rows import Made, write_batch

from models.figures.made_pictures import all_made_pictures, made_pictures, newest_from
from models.records.tables import Job
from models.types.finding import Finding
from models.types.states import MADE, JobState


@pytest.fixture
def nightshift(installation):
    with installation() as made:
        write_batch(made, "other", [Made()] * 2, files=False)
        write_batch(made, "shoes", [Made(seed=n, against=["edge"] * (n % 5 == 0)) for n in range(25)], files=False)
        with made.database.writing() as session:
            removed, queued = (session.get_one(Job, number) for number in (4, 5))
            removed.picture = None
            queued.state, queued.picture = JobState.QUEUED, None
        yield made


def test_they_come_page_by_page_and_each_once(nightshift: Installation):
    expected = [3, *range(6, 28)]
    found: list[int] = []
    with nightshift.database.reading() as session:
        while page := made_pictures(session, 2, MADE, found[-1] if found else 0, limit=7):
            assert len(page) <= 7
            found += [made.job_id for made in page]
    assert found == expected
    assert [made.job_id for made in all_made_pictures(nightshift.database, 2, MADE)] == expected
    assert [made.job_id for made in all_made_pictures(nightshift.database, None, MADE)] == [1, 2, *expected]


def test_each_has_its_own_findings_and_states_are_told_apart(nightshift: Installation):
    rejected = all_made_pictures(nightshift.database, 2, [JobState.REJECTED])
    assert [made.job_id for made in rejected] == [3, 8, 13, 18, 23]
    assert {tuple(made.findings) for made in rejected} == {
        (Finding("edge", 0.1, passed=False, sentence="edge is wrong"),)
    }
    accepted = all_made_pictures(nightshift.database, 2, [JobState.SUCCEEDED])
    assert all(made.is_accepted and made.findings[0].check == "colour" for made in accepted)
    first = rejected[0]
    assert (first.batch, first.batch_id, first.spec.seed, first.revision, first.total_s) == ("shoes", 2, 0, "r1", 1.0)
    assert not first.is_accepted


@pytest.mark.parametrize(("most", "first"), [(1, 27), (22, 6), (24, 3), (100, 3)])
def test_the_newest_so_many_are_those_behind_a_job(nightshift: Installation, most, first):
    with nightshift.database.reading() as session:
        after = newest_from(session, 2, MADE, most)
    found = all_made_pictures(nightshift.database, 2, MADE, after)
    assert found[0].job_id == first
    assert len(found) <= most
