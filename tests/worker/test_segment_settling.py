"""The end of a segment where the database's answer to it is lost: it is recorded once, and known to be."""

from contextlib import contextmanager

import pytest
from made_rows import Made, write_batch
from made_trainings import claim, done, write_training

from models.records.database import Database
from models.types.errors import DatabaseError, LostClaimError
from worker.care.retrying import Retrier
from worker.segment.settling import SegmentSettler
from worker.shutdown import Shutdown


class AnswerLost(Database):
    """Records what it is told, and the first answer to that is lost."""

    is_lost = False

    @contextmanager
    def writing(self):
        with super().writing() as session:
            yield session
        if not self.is_lost:
            self.is_lost = True
            raise DatabaseError("the link was cut")


@pytest.fixture
def olive(nightshift):
    """Claim the second segment of a training."""
    write_batch(nightshift, "shoes", [Made()])
    write_training(nightshift, "olive", segments_done=1)
    return claim(nightshift, "olive")


@pytest.fixture
def settler(nightshift, settings):
    database = AnswerLost(nightshift.database_url)
    yield SegmentSettler(database, settings(), Retrier(Shutdown()))
    database.close()


def taken(_seconds):
    """Wait as a heartbeat does that finds the claim to be no longer its own."""
    raise LostClaimError("the training was taken from this worker")


def test_it_is_known_to_be_recorded_whatever_the_heartbeat_says(settler, olive):
    assert settler.settle(olive, done(20), taken) is True
    assert settler.is_gone_on_from(olive, "state-000020.bin")
    assert not settler.is_gone_on_from(olive, "state-000010.bin")


def test_what_another_one_has_taken_is_not(nightshift, settler, olive):
    # By the end that another worker's claim of the same segment recorded.
    other = SegmentSettler(nightshift.database, settler._settings, Retrier(Shutdown()))
    assert other.settle(olive, done(20), taken) is True
    assert settler.settle(olive, done(15), taken) is False
    assert not settler.is_gone_on_from(olive, "state-000015.bin")
