"""`producer check` while a picture is judged or settled: no picture is left that its limits reject."""

import pytest
from faults import assert_promise_kept, faulty, outcomes

from models.records.tables import Verdict
from models.types.states import JobState

EASY, HARD = "fill.least=0.1", "fill.least=0.74"


@pytest.fixture(scope="module")
def both(installation):
    with faulty(installation) as made:
        made[0].start_worker()
        yield made


@pytest.mark.parametrize("place", ["judging", "step"])
@pytest.mark.parametrize(
    ("first", "then"), [(EASY, HARD), (HARD, EASY), (None, HARD)], ids=["harder", "easier", "first"]
)
def test_what_is_made_meanwhile_is_judged_by_the_limits_of_the_batch(nightshift, faults, place, first, then):
    faults.hold(place)
    batch = nightshift.enqueue("--prompt", "a red boot", *(("--checks", first) if first else ()))
    faults.wait_until_held(place)
    checked = nightshift.producer("check", batch, "--checks", then)
    assert checked.returncode == 0, checked.stderr
    faults.release(place)
    (job,) = nightshift.wait_until_finished(batch)
    assert job.state == (JobState.REJECTED if then == HARD else JobState.SUCCEEDED)
    assert outcomes(nightshift, batch) == [["succeeded"]]
    (verdict,) = [row for row in nightshift.rows(Verdict) if row.job_id == job.id and row.check == "fill"]
    assert verdict.passed is (then == EASY)
    assert_promise_kept(nightshift)
