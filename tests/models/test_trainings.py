"""Trainings in the record: one segment at a time, and each end only by the claim that holds."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from models.figures.progress import has_work
from models.figures.trainings import expected_training, training_progress
from models.records import control
from models.records.attempts import Ended, Recorded
from models.records.boots import mark_ended
from models.records.tables import Segment
from models.records.trainings import publication, segments, trainings
from models.records.trainings.segments import SegmentMeasurement, SegmentResult
from models.records.trainings.validation import add_validation, create_validation
from models.training.config import TrainingConfig
from models.types.causes import Cause
from models.types.clock import now
from models.types.errors import BadInputError, ElsewhereError, NotFoundError, QueuePausedError
from models.types.fate import Tries
from models.types.message import DEFAULT_QUEUE, SegmentMessage
from models.types.states import JobState, Outcome

PLACE = "a" * 32
TRIES = Tries(retries=3, quarantine_after=2)
CONFIG = TrainingConfig(model_id="demo", max_train_steps=20, validation_prompt=("a shoe", "a boot"))


@pytest.fixture
def create(write):
    def make(name="olive", **changed):
        usual = {"data": "/data", "place": PLACE, "pictures": 5, "held_out": 1, "steps": 20, "priority": 5}
        of_row = {key: value for key, value in changed.items() if key not in TrainingConfig.model_fields}
        config = CONFIG.model_copy(update={key: value for key, value in changed.items() if key not in of_row})
        return write(trainings.create_training, name, config.model_dump(mode="json"), **usual | of_row)

    return make


@pytest.fixture
def found(read):
    return lambda name="olive": read(trainings.require_training, name)


@pytest.fixture
def claim(write, boot):
    return lambda training, by=None, place=PLACE: write(segments.claim_segment, message(training), by or boot, place)


def message(training):
    return SegmentMessage(training=training.id, uid=training.uid)


def execute(session, statement):
    session.execute(statement)


def done(step, **measured):
    measurement = SegmentMeasurement(**measured)
    return SegmentResult(Outcome.SUCCEEDED, step=step, state_file=f"state-{step}", measured=measurement)


def test_a_name_is_one_trainings_and_no_batchs(create, records, read):
    records.batch("shoes")
    create()
    for taken in ("olive", "shoes"):
        with pytest.raises(BadInputError, match=f"{taken}: there is a training or a batch of that name already"):
            create(taken)
    with pytest.raises(NotFoundError, match="no training 'none'; the newest are olive"):
        read(trainings.require_training, "none")
    assert read(trainings.find_training, "none") is None


def test_segments_follow_each_other_until_all_steps_are_taken(create, claim, write, found, read, boot):
    training = create()
    first = claim(training)
    assert (first.number, first.step, first.state_file, first.config["lora_rank"]) == (1, 0, None, 8)
    assert claim(training) is None
    assert found().state is JobState.RUNNING
    assert write(segments.advance, first, done(10, loss=0.5, step_s=1.5), Ended.now()) is Recorded.NOW
    assert (found().state, found().step, found().state_file) == (JobState.QUEUED, 10, "state-10")
    second = claim(training)
    assert (second.number, second.step, second.state_file) == (2, 10, "state-10")
    assert write(segments.advance, second, done(20), Ended.now()) is Recorded.NOW
    ended = found()
    assert (ended.state, ended.step, ended.finished_at is not None) == (JobState.SUCCEEDED, 20, True)
    assert claim(training) is None


def test_a_message_of_another_database_and_a_paused_queue_begin_nothing(create, claim, write):
    training = create()
    assert claim(replace(training, uid="0" * 32)) is None
    write(control.pause)
    with pytest.raises(QueuePausedError):
        claim(training)
    write(control.resume)
    assert claim(training).number == 1


def test_only_a_worker_that_has_its_files_takes_it(create, claim, found):
    training = create()
    with pytest.raises(ElsewhereError, match="the files of training olive are in another data folder"):
        claim(training, place="b" * 32)
    assert (found().state, found().segments) == (JobState.QUEUED, 0)
    assert claim(training).number == 1
    # What is not to be had by anybody is none of others' either.
    assert claim(training, place="b" * 32) is None


def test_a_claim_that_was_lost_changes_nothing(create, claim, write, found, boot, records):
    training = create()
    lost = claim(training)
    assert write(segments.rescue_segments, records.boot(), TRIES) == ["olive"]
    assert found().state is JobState.QUEUED
    newer = claim(training)
    for end in (segments.advance, segments.fail, segments.try_again):
        assert write(end, lost, done(10), Ended.now()) is Recorded.NOT
    assert write(segments.renew_segment, lost) is None
    assert write(segments.renew_segment, newer) is False
    assert found().step == 0


def test_an_end_whose_answer_was_lost_is_known_when_it_is_tried_again(create, claim, write, found):
    claimed, ended = claim(create()), Ended.now()
    assert write(segments.advance, claimed, done(10), ended) is Recorded.NOW
    assert write(segments.advance, claimed, done(10), ended) is Recorded.EARLIER
    assert write(segments.advance, claimed, done(10), Ended.now()) is Recorded.NOT


def test_a_claim_whose_answer_was_lost_is_found(create, claim, read, boot, write):
    claimed = claim(create())
    assert read(segments.unanswered_segment, boot) == claimed
    assert read(segments.unanswered_segment, boot + 1) is None
    write(segments.advance, claimed, done(10), Ended.now())
    assert read(segments.unanswered_segment, boot) is None


def test_a_queued_training_is_cancelled_at_once_and_a_running_one_by_its_worker(create, claim, write, found):
    queued = create("queued")
    assert write(trainings.cancel_training, queued.id) is JobState.CANCELLED
    assert (found("queued").cause, claim(queued)) == (Cause.CANCELLED, None)
    running = create()
    claimed = claim(running)
    assert write(trainings.cancel_training, running.id) is JobState.RUNNING
    assert write(segments.renew_segment, claimed) is True
    # Steps that were taken meanwhile stay.
    write(segments.advance, claimed, done(10), Ended.now())
    assert (found().state, found().step) == (JobState.CANCELLED, 10)
    assert write(trainings.cancel_training, running.id) is JobState.CANCELLED
    assert write(trainings.retry_training, running.id) is False
    assert write(trainings.retry_training, running.id, cancelled=True) is True
    assert claim(running).step == 10


def test_one_that_took_all_steps_has_succeeded_although_it_was_to_be_cancelled(create, claim, write, found):
    training = create()
    claimed = claim(training)
    write(trainings.cancel_training, training.id)
    write(segments.advance, claimed, done(20), Ended.now())
    assert found().state is JobState.SUCCEEDED


def test_a_failure_ends_it_until_a_person_tries_again(create, claim, write, found):
    training = create()
    failed = SegmentResult(Outcome.FAILED, cause=Cause.TRAINING, error="3.png is not there")
    write(segments.fail, claim(training), failed, Ended.now())
    assert (found().state, found().cause, found().error) == (JobState.FAILED, "training", "3.png is not there")
    assert write(trainings.retry_training, training.id) is True
    assert (found().state, found().error) == (JobState.QUEUED, None)


def test_what_may_pass_is_tried_again_after_a_while(create, claim, write, found, read):
    training = create()
    failed = SegmentResult(Outcome.FAILED, cause=Cause.DRIVER, error="the driver")
    write(segments.try_again, claim(training), failed, Ended.now(), failed=True, wait_s=3_600, rate_share=0.5)
    assert read(publication.unpublished_segments) == []
    assert (found().rate_share, found().state) == (0.5, JobState.QUEUED)
    assert claim(training).failures == 1


def lose_to_its_workers(write, claim, records, training, *, ended=False):
    boot = records.boot()
    claim(training, boot)
    if ended:
        write(mark_ended, boot)
    assert write(segments.rescue_segments, records.boot(), TRIES) == [training.name]


def test_one_that_takes_its_workers_down_is_tried_with_less_memory_and_then_set_aside(
    create, claim, write, found, records
):
    training = create()
    for state, saves_memory in (
        (JobState.QUEUED, False),
        (JobState.QUEUED, True),
        (JobState.QUEUED, True),
        (JobState.QUARANTINED, True),
    ):
        lose_to_its_workers(write, claim, records, training)
        assert (found().state, found().saves_memory) == (state, saves_memory)


def test_one_that_may_not_save_memory_is_set_aside_at_once(create, claim, write, found, records):
    training = create(gradient_checkpointing=False)
    for state in (JobState.QUEUED, JobState.QUARANTINED):
        lose_to_its_workers(write, claim, records, training)
        assert (found().state, found().saves_memory) == (state, False)


def test_workers_that_end_by_themselves_are_not_held_against_it(create, claim, write, found, records):
    training = create()
    for _ in range(4):
        lose_to_its_workers(write, claim, records, training, ended=True)
        assert (found().state, found().saves_memory) == (JobState.QUEUED, False)


def test_only_a_silent_worker_loses_its_training(create, claim, write, found, read, boot, records):
    claimed = claim(create())
    (seen,) = read(segments.running_trainings)
    write(segments.renew_segment, claimed)
    other = records.boot(lock_uid="b")
    assert write(segments.rescue_segments, other, TRIES, [seen]) == []
    (seen,) = read(segments.running_trainings)
    assert write(segments.rescue_segments, other, TRIES, [seen]) == ["olive"]


def test_the_next_segment_is_published_once(create, claim, write, read, found):
    training = create()
    (waiting,) = read(publication.unpublished_segments)
    assert (waiting.message, waiting.queue, waiting.priority) == (message(training), training.queue, 5)
    assert read(publication.unpublished_segments, "0" * 32) == []
    write(publication.mark_segments_published, [training.id], now())
    assert read(publication.unpublished_segments) == []
    assert read(publication.published_segments) == [waiting]
    claimed = claim(training)
    assert read(publication.published_segments) == []
    write(segments.advance, claimed, done(10), Ended.now())
    assert read(publication.unpublished_segments) == [waiting]


def test_pictures_of_each_checkpoint_go_before_the_next_segment(create, claim, write, found, records, read):
    training = create()
    batch = write(lambda session: create_validation(session, training.id, CONFIG, None))
    assert (batch.name, found().validation_batch_id) == ("olive-validation", batch.id)
    assert write(lambda session: add_validation(session, training.id, CONFIG, "olive/olive-000010")) == 8
    jobs = records.jobs(batch)
    assert {job.priority for job in jobs} == {4}
    by_variant = [[job for job in jobs if job.attributes == {"lora": name}] for name in ("none", "olive/olive-000010")]
    assert [{job.lora for job in variant} for variant in by_variant] == [{""}, {"olive/olive-000010"}]
    first, second = ([(job.prompt, job.seed) for job in variant] for variant in by_variant)
    assert first == second
    assert len(set(first)) == 8
    write(control.cancel, read(control.batch_scope, batch.name))
    assert write(lambda session: add_validation(session, training.id, CONFIG, "olive/olive-000020")) == 0


def test_one_without_prompts_makes_no_pictures(create, write, found):
    config = TrainingConfig(model_id="demo")
    assert write(lambda session: create_validation(session, create().id, config, None)) is None


def test_a_training_is_work_for_those_that_have_its_files(create, read, boot):
    create()
    assert read(has_work, boot, [DEFAULT_QUEUE], PLACE)
    assert not read(has_work, boot, [DEFAULT_QUEUE], "b" * 32)


def test_what_is_left_goes_by_the_segments_after_the_first(create, claim, write, read, found):
    training = create(steps=40)
    begun = now()
    # The first one encodes the pictures.
    for number, (steps, took_s, ready_s) in enumerate([(10, 100.0, 90.0), (20, 10.0, 0.0), (30, 10.0, 0.0)]):
        held = claim(training)
        moment = begun + timedelta(seconds=1000 * number)
        write(execute, update(Segment).values(started_at=moment).where(Segment.id == held.segment_id))
        write(segments.advance, held, done(steps, ready_s=ready_s), Ended(moment + timedelta(seconds=took_s), 0.0))
    assert read(training_progress, found()).left.seconds == pytest.approx(10)
    # Another one has to encode its pictures, too.
    assert read(expected_training, CONFIG, "mini").time.seconds == pytest.approx(20 + 90)


def test_a_measurement_is_in_its_row(create, claim, write, records):
    claimed = claim(create())
    write(segments.advance, claimed, done(10, loss=0.5, step_s=1.5, rss_peak_bytes=2**33), Ended.now())
    with records.database.reading() as session:
        row = session.get_one(Segment, claimed.segment_id)
    assert (row.begun_step, row.ended_step, row.loss, row.step_s, row.rss_peak_bytes) == (0, 10, 0.5, 1.5, 2**33)
    assert row.finished_at - row.started_at < timedelta(minutes=1)
