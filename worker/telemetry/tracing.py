"""A worker's spans: each attempt, and its parts, in the trace of its job; each segment in that of its training."""

from collections.abc import Mapping
from datetime import timedelta

from models.types.clock import now
from models.types.measurement import PARTS
from models.types.message import JobMessage, SegmentMessage
from models.types.states import Outcome
from worker.attempt.attempt import Attempt
from worker.queue.traces import Traces
from worker.segment.ended import EndedSegment


class Tracing:
    """Sends the spans of one worker."""

    def __init__(self, traces: Traces, about: Mapping[str, object]) -> None:
        """Send by `traces`; `about` is what all spans say of the worker."""
        self._traces = traces
        self._about = about

    def trace(self, attempt: Attempt) -> None:
        """Send an attempt that has ended."""
        claim = attempt.claim
        about = {
            "nightshift.batch": claim.batch_name,
            "nightshift.job": claim.job_id,
            "nightshift.attempt": claim.attempt_number,
            "nightshift.outcome": attempt.outcome if attempt.is_owned else "disowned",
            "nightshift.cause": attempt.cause,
            "nightshift.checkpoint": claim.spec.checkpoint,
            "nightshift.pictures_a_call": attempt.measured.pictures_a_call,
            "nightshift.queue_wait_s": claim.queue_wait_s,
        }
        message = JobMessage(job=claim.job_id, batch=claim.batch_uid)
        span = self._traces.follow(message, "attempt", claim.started_at, about | {**self._about})
        begun = claim.started_at
        for part in PARTS:
            seconds = getattr(attempt.measured.timings, f"{part}_s")
            if seconds is not None:
                ended = begun + timedelta(seconds=seconds)
                self._traces.part(span, part, begun, ended)
                begun = ended
        is_fault = attempt.outcome not in (Outcome.SUCCEEDED, Outcome.CANCELLED)
        self._traces.end(span, max(now(), begun), attempt.error if is_fault else None)

    def trace_segment(self, ended: EndedSegment) -> None:
        """Send a segment of a training that has ended."""
        claim, result = ended.claim, ended.result
        about = {
            "nightshift.training": claim.name,
            "nightshift.segment": claim.number,
            "nightshift.outcome": ended.outcome,
            "nightshift.cause": result.cause,
            "nightshift.step": result.step,
            "nightshift.loss": result.measured.loss,
        }
        message = SegmentMessage(training=claim.training_id, uid=claim.uid)
        span = self._traces.follow(message, "segment", claim.started_at, about | {**self._about})
        moment = now()
        if result.measured.ready_s is not None:
            self._traces.part(
                span, "ready", claim.started_at, claim.started_at + timedelta(seconds=result.measured.ready_s)
            )
        if result.measured.save_s is not None:
            self._traces.part(span, "save", moment - timedelta(seconds=result.measured.save_s), moment)
        is_fault = result.outcome not in (Outcome.SUCCEEDED, Outcome.CANCELLED)
        self._traces.end(span, moment, result.error if is_fault else None)
