"""The last step of an attempt: the one line that the log has of it."""

from models.types.states import Outcome
from worker.attempt.attempt import Attempt
from worker.events import Event
from worker.log import event, gigabytes, log


def tell(attempt: Attempt) -> Attempt:
    """Write the line, with all figures beside it for machines."""
    claim, m = attempt.claim, attempt.measured
    fields = {"outcome": attempt.outcome}
    if not attempt.is_owned:
        log.warning(
            "job %d: not settled, it is no longer this attempt's",
            claim.job_id,
            extra=event(Event.ATTEMPT_DISOWNED) | fields,
        )
    elif attempt.outcome is Outcome.LOST:
        log.warning(
            "job %d went back to the queue: %s",
            claim.job_id,
            attempt.error,
            extra=event(Event.ATTEMPT_GIVEN_BACK) | fields | {"cause": attempt.cause},
        )
    elif attempt.outcome is Outcome.SUCCEEDED:
        assert m.peak is not None
        t = m.timings
        log.info(
            "job %d (%s) made in %.2f s: encode %.3f, denoise %.3f, decode %.3f, validate %.3f; saved in %.3f s; "
            "%.2f steps/s; memory peak %s%s%s%s%s",
            claim.job_id,
            claim.batch_name,
            m.total_s,
            t.encode_s,
            t.denoise_s,
            t.decode_s,
            t.validate_s,
            t.save_s,
            m.steps_per_s,
            gigabytes(m.peak.rss),
            f", device {gigabytes(m.peak.device_driver)}" if m.peak.device_driver is not None else "",
            f"; its share of a call of {m.pictures_a_call}" if (m.pictures_a_call or 1) > 1 else "",
            f"; prompt cut after 77 tokens: …{m.prompt_cut[:60]}" if m.prompt_cut else "",
            _rejection(attempt),
            extra=event(Event.ATTEMPT_SUCCEEDED) | fields | m.columns() | _judgement(attempt),
        )
    else:
        log.error(
            "job %d (%s) %s: %s%s%s",
            claim.job_id,
            claim.batch_name,
            attempt.outcome,
            attempt.error,
            "; it is tried again later" if attempt.is_postponed else "",
            _replacement(attempt),
            extra=event(Event.ATTEMPT_ENDED) | fields | {"cause": attempt.cause},
        )
    return attempt


def _judgement(attempt: Attempt) -> dict[str, object]:
    against = [finding.check for finding in attempt.findings if not finding.passed]
    return {"picture": attempt.picture_name, "rejected_by": against, "replaced_by": attempt.replaced_by}


def _rejection(attempt: Attempt) -> str:
    against = "; ".join(f"{finding.check}: {finding.sentence}" for finding in attempt.findings if not finding.passed)
    return f"; rejected, {against}{_replacement(attempt)}" if against else ""


def _replacement(attempt: Attempt) -> str:
    return "" if attempt.replaced_by is None else f"; job {attempt.replaced_by} stands in for it"
