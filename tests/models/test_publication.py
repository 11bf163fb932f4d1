"""Which queued jobs are on the queue, as the record has it."""

from datetime import timedelta

from models.records import control, publication
from models.records.tables import Job
from models.types.clock import now
from models.types.message import DEFAULT_QUEUE
from models.types.states import Outcome


def test_unpublished_jobs_come_page_by_page_in_order(records, read, write):
    first, second = records.batch("red", 3, priority=2), records.batch("blue", 2)
    numbers = [job.id for job in records.jobs(first) + records.jobs(second)]
    pages, after = [], 0
    while page := read(publication.unpublished, after=after, limit=2):
        pages.append([job.job_id for job in page])
        after = page[-1].job_id
    assert pages == [numbers[:2], numbers[2:4], numbers[4:]]
    found = read(publication.unpublished)
    assert [job.message for job in found] == records.messages(first) + records.messages(second)
    assert [job.priority for job in found] == [2, 2, 2, 5, 5]
    assert [job.job_id for job in read(publication.unpublished, batch_id=second.id)] == numbers[3:]


def test_only_queued_jobs_that_were_not_published_are_handed_out(records, read, write):
    batch = records.batch(jobs=4)
    published, running, cancelled, waiting = records.messages(batch)
    records.claim(running, records.boot())
    write(publication.mark_published, [published.job], now())
    write(control.cancel, control.Scope("some", Job.id == cancelled.job))
    assert [job.job_id for job in read(publication.unpublished)] == [waiting.job]
    moment = now()
    write(publication.mark_published, [waiting.job], moment)
    assert records.job(waiting.job).published_at == moment
    assert read(publication.unpublished) == []


def test_what_was_published_is_forgotten_for_queued_jobs_of_the_batch_alone(records, read, write):
    batch, other = records.batch(jobs=3), records.batch("other", priority=9)
    running, done, queued = records.messages(batch)
    write(publication.mark_published, [job.id for job in records.jobs(batch) + records.jobs(other)], now())
    boot = records.boot()
    records.claim(running, boot)
    records.settle(records.claim(done, boot))
    assert [records.job(message.job).state for message in (running, done)] == ["running", "succeeded"]
    assert write(publication.forget_published, batch.id) == 1
    assert [job.job_id for job in read(publication.unpublished)] == [queued.job]


def test_what_was_published_is_forgotten_for_these_jobs_as_long_as_they_are_queued(records, boot, write):
    messages = records.messages(records.batch(jobs=5))
    write(publication.mark_published, [message.job for message in messages], now())
    records.claim(messages[0], boot)
    assert write(publication.forget_published, jobs=[message.job for message in messages[:3]]) == 2
    published = [records.job(message.job).published_at is not None for message in messages]
    assert published == [False, False, False, True, True]
    assert write(publication.forget_published, jobs=[]) == 0


def test_only_the_jobs_that_are_asked_for_are_to_be_published(records, write):
    numbers = [message.job for message in records.messages(records.batch(jobs=4))]
    asked = numbers[1:3]
    assert [job.job_id for job in write(publication.unpublished, jobs=asked)] == asked
    assert write(publication.unpublished, jobs=[]) == []


def test_what_should_be_on_the_queue_is_what_is_queued_and_was_published(records, boot, read, write):
    first, second, third, urgent, _ = [message.job for message in records.messages(records.batch(jobs=5))]
    write(publication.mark_published, [first, second, third, urgent], now())
    assert records.claim(records.messages(records.batch("other"))[0], boot).job_id == first
    records.change(urgent, priority=0)
    assert read(publication.count_published, DEFAULT_QUEUE) == 3
    # Those whose turn comes last.
    assert read(publication.last_published, DEFAULT_QUEUE, 2) == [third, second]


def test_a_job_that_was_begun_while_it_was_published_is_marked_no_more(records, boot, read, write, message):
    records.claim(message, boot)
    write(publication.mark_published, [message.job], now())
    assert read(publication.count_published, DEFAULT_QUEUE) == 0
    assert records.job(message.job).published_at is None


def test_a_message_is_withdrawn_of_a_job_that_was_cancelled_before_it_began(records, boot, read, write):
    batch = records.batch(jobs=3)
    messages = records.messages(batch)
    write(publication.mark_published, [message.job for message in messages], now())
    claim = records.claim(messages[2], boot)
    assert claim.job_id == messages[0].job
    write(control.cancel, control.Scope("a batch", Job.batch_id == batch.id))
    records.settle(claim, Outcome.CANCELLED)
    # The message of the one that ran may be what another job waits for.
    assert read(publication.cancelled, batch.id) == {DEFAULT_QUEUE: messages[1:]}


def test_jobs_of_each_queue_are_counted_by_themselves(records, boot, read, write):
    usual, large = (
        records.messages(records.batch("usual", 2)),
        records.messages(records.batch("large", 3, queue="sdxl")),
    )
    write(publication.mark_published, [message.job for message in usual + large], now())
    assert set(read(publication.published_queues)) == {DEFAULT_QUEUE, "sdxl"}
    assert [read(publication.count_published, queue) for queue in (DEFAULT_QUEUE, "sdxl", "none")] == [2, 3, 0]
    assert read(publication.last_published, "sdxl", 9) == [message.job for message in reversed(large)]
    assert [job.queue for job in write(publication.unpublished, jobs=[large[0].job])] == []
    write(publication.forget_published, jobs=[large[0].job])
    assert [job.queue for job in write(publication.unpublished)] == ["sdxl"]


def test_a_queue_that_is_none_is_refused(records, write):
    (message,) = records.messages(records.batch())
    records.change(message.job, queue="a b")
    (found,) = write(publication.unpublished)
    assert found.message is None
    assert "pattern" in found.problem


def test_the_first_of_a_batch_that_is_not_published_changes_while_somebody_publishes_it(records, read, write):
    batch, other = records.batch(jobs=3), records.batch("other", priority=9)
    first, second, third = records.messages(batch)
    (left,) = records.messages(other)
    assert read(publication.first_unpublished) == [(batch.id, first.job), (other.id, left.job)]
    write(publication.mark_published, [first.job], now())
    assert (batch.id, second.job) in read(publication.first_unpublished)
    write(publication.mark_published, [second.job, third.job], now())
    # One that waits for its next try is not to be published yet.
    records.change(left.job, not_before=now() + timedelta(minutes=5))
    assert read(publication.first_unpublished) == []


def test_jobs_whose_queue_is_none_are_found_and_no_others(records, read, write):
    batch = records.batch(jobs=3)
    spoilt, sound, waiting = records.messages(batch)
    write(publication.mark_published, [spoilt.job, sound.job], now())
    for message in (spoilt, waiting):
        records.change(message.job, queue="a b")
    assert read(publication.published_nowhere) == [spoilt.job]
    assert read(publication.published_queues) == {DEFAULT_QUEUE}
    write(control.cancel, control.Scope("a batch", Job.batch_id == batch.id))
    assert read(publication.cancelled, batch.id) == {DEFAULT_QUEUE: [sound]}
