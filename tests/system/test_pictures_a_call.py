"""A worker that finds out how many pictures a call are fastest: the pictures are those that it makes one by one."""

import numpy as np
import pytest
from PIL import Image

from models.records.tables import Attempt
from models.tuning import Candidate, read_trials

#: Enough to repay some trials; and so many of them once more, one by one.
COUNT, AGAIN = 120, 64


@pytest.fixture(scope="module")
def nightshift(installation):
    with installation(NIGHTSHIFT_TUNING="true") as made:
        yield made


@pytest.fixture(scope="module")
def made(nightshift):
    """Return two batches of the same jobs: of a worker that finds out, and of one that makes one at a time."""
    batches = []
    for tuning, count in (("true", COUNT), ("false", AGAIN)):
        asked = ("--prompt", "a red boot", "--count", count, "--steps", 4, "--width", 64, "--height", 64, "--seed", 1)
        batches.append(nightshift.enqueue_at_once(*asked))
        worker = nightshift.start_worker(NIGHTSHIFT_TUNING=tuning)
        nightshift.wait_until_finished(batches[-1])
        assert worker.stop() == 0
    return batches


def attempts(nightshift, batch):
    numbers = [job.id for job in nightshift.jobs(batch)]
    return [attempt for attempt in nightshift.rows(Attempt) if attempt.job_id in numbers]


def test_it_tries_larger_calls_with_the_pictures_that_were_asked_for(nightshift, made):
    found, alone = ([row.pictures_a_call for row in attempts(nightshift, batch)] for batch in made)
    assert found[:4] == [1, 1, 2, 2]
    assert len(found) == COUNT
    assert set(found) <= {1, 2, 4, 8, 16}
    assert alone == [1] * AGAIN
    (trials,) = read_trials(nightshift.data_dir).values()
    assert trials.of[Candidate(1)].calls >= 2
    assert trials.trying is None


def test_the_pictures_are_the_same_to_the_bit(nightshift, made):
    together, alone = (nightshift.jobs(batch) for batch in made)
    # Among them are all sizes that were tried.
    for one, other in zip(together[:AGAIN], alone, strict=True):
        assert one.seed == other.seed
        first, second = (np.asarray(Image.open(nightshift.data_dir / job.picture)) for job in (one, other))
        assert np.array_equal(first, second)


def test_a_picture_and_its_row_say_how_many_were_made_with_it(nightshift, made):
    rows = {row.job_id: row for row in attempts(nightshift, made[0])}
    for job in nightshift.jobs(made[0]):
        row = rows[job.id]
        with Image.open(nightshift.data_dir / job.picture) as picture:
            said = f"Pictures a call: {row.pictures_a_call}" in picture.info["parameters"]
        assert said is (row.pictures_a_call > 1)


def test_what_is_in_seconds_adds_up_to_no_more_than_the_night(nightshift, made):
    rows = attempts(nightshift, made[0])
    lasted_s = (max(row.finished_at for row in rows) - min(row.started_at for row in rows)).total_seconds()
    busy_s = sum(row.total_s + (row.gap_s or 0) for row in rows)
    assert 0.5 * lasted_s < busy_s <= lasted_s
    for row in rows:
        assert row.encode_s + row.denoise_s + row.decode_s + row.validate_s <= row.total_s
