"""A worker that was frozen past its limit, as a laptop that slept, while another one took its job."""

import signal

import pytest
from faults import assert_promise_kept, outcomes
from freezing import freeze_at

from models.records.tables import Attempt
from models.types.states import JobState

#: It is most about the database.
pytestmark = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"], indirect=True, scope="module")


@pytest.mark.parametrize("place", ["step", "decoding", "writing", "written", "settling"])
def test_the_late_one_settles_nothing_and_leaves_no_stray_file(nightshift, faults, elsewhere, place):
    late = freeze_at(nightshift, faults, place)
    other = nightshift.start_worker(**elsewhere)
    (job,) = nightshift.wait_until_finished()
    assert (job.state, job.attempts, job.losses) == (JobState.SUCCEEDED, 2, 1)
    assert "gave no sign of life for 1 s; put back" in other.log
    picture = nightshift.data_dir / job.picture
    made_at = picture.stat().st_mtime_ns

    late.send(signal.SIGCONT)
    nightshift.wait_until(lambda: "it is no longer this attempt's" in late.log, "the late one to notice")
    assert outcomes(nightshift) == [["lost", "succeeded"]]
    assert picture.stat().st_mtime_ns == made_at
    assert nightshift.jobs()[0].attempts == 2
    assert late.stop() == 0
    assert other.stop() == 0
    assert_promise_kept(nightshift)


@pytest.mark.smoke
def test_a_late_one_whose_job_was_cancelled_leaves_no_picture(nightshift, faults, elsewhere):
    late = freeze_at(nightshift, faults, "settling")
    assert nightshift.producer("cancel", "--job", 1).returncode == 0
    nightshift.start_worker(**elsewhere)
    (job,) = nightshift.wait_until_finished()
    assert job.state == JobState.CANCELLED
    late.send(signal.SIGCONT)
    nightshift.wait_until(lambda: "it is no longer this attempt's" in late.log, "the late one to notice")
    assert late.stop() == 0
    assert_promise_kept(nightshift)


def test_a_frozen_worker_that_nobody_replaced_goes_on_and_has_not_hung(nightshift, faults):
    late = freeze_at(nightshift, faults, "step")
    # Beats are missed by the thousand, as far as any clock can tell.
    faults.at("clock", "36000")
    late.send(signal.SIGCONT)
    (job,) = nightshift.wait_until_finished()
    assert (job.state, job.attempts) == (JobState.SUCCEEDED, 1)
    (attempt,) = nightshift.rows(Attempt)
    assert 0 < attempt.total_s < 3600
    assert_promise_kept(nightshift)
