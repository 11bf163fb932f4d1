"""A clock that is set back or forth while the worker is at work."""

import pytest
from faults import assert_promise_kept, outcomes

from models.records.tables import Attempt

HOUR_S = 3600


@pytest.mark.smoke
@pytest.mark.parametrize("by_s", [-HOUR_S, HOUR_S], ids=["back", "forth"])
def test_durations_stay_right_and_nothing_is_rescued_that_lives(nightshift, faults, by_s):
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    faults.hold("step")
    batch = nightshift.enqueue("--prompt", "a red boot", "--count", 3)
    faults.wait_until_held("step")
    faults.at("clock", str(by_s))
    faults.release("step")
    nightshift.wait_until_finished(batch)
    assert outcomes(nightshift) == [["succeeded"]] * 3
    for row in nightshift.rows(Attempt):
        parts = (row.encode_s, row.denoise_s, row.decode_s, row.validate_s)
        assert all(0 <= part < HOUR_S for part in (*parts, row.save_s))
        assert sum(parts) <= row.total_s < HOUR_S
        assert row.queue_wait_s >= 0
    speed = nightshift.read_json("report", batch)["speed"]
    assert speed["mean_s"] < HOUR_S
    assert speed["busy_s"] <= speed["wall_s"] < HOUR_S
    assert speed["queue_wait_max_s"] < HOUR_S
    attempts = nightshift.rows(Attempt)
    assert speed["wall_s"] == attempts[-1].finished_s - attempts[0].started_s
    # The time of day alone would have said something else.
    assert abs((attempts[-1].finished_at - attempts[0].started_at).total_seconds()) > HOUR_S / 2
    assert "gave no sign of life" not in worker.log
    assert_promise_kept(nightshift)


def test_a_job_that_waits_for_its_next_try_does_not_wait_an_hour_longer(nightshift, faults):
    nightshift.wait_until_ready(nightshift.start_worker(NIGHTSHIFT_RETRY_S="3000"))
    faults.at("step", "raise RuntimeError command buffer exited with error")
    faults.at("clock", str(HOUR_S))
    batch = nightshift.enqueue("--prompt", "a red boot")
    nightshift.wait_until(lambda: outcomes(nightshift) == [["failed"]], "the first try to fail")
    faults.at("clock", str(-HOUR_S))
    nightshift.wait_until_finished(batch)
    assert outcomes(nightshift) == [["failed", "succeeded"]]
    assert_promise_kept(nightshift)
