"""Why something ended with an error, as its row says it."""

from collections.abc import Mapping

from models.types.causes import Cause
from models.types.errors import NightshiftError
from models.types.states import Outcome
from worker.care.file_handles import is_for_want_of_file_handle
from worker.events import Event
from worker.log import event, log


def cause_of(error: BaseException, who: str, ids: Mapping[str, object]) -> tuple[Cause, str]:
    """Return the cause that an error is and what happened; the log has all of what nobody foresaw, and of `who`."""
    what = str(error)
    cause = error.cause if isinstance(error, NightshiftError) else None
    if (cause or Cause.UNEXPECTED).outcome is Outcome.FAILED and is_for_want_of_file_handle(error):
        # A checkpoint that could not be opened is no broken one.
        return Cause.PROCESS, f"no file could be opened: {what}"
    if cause is not None:
        return cause, what
    log.error("%s: an error that nobody foresaw", who, exc_info=error, extra=event(Event.ATTEMPT_UNEXPECTED, **ids))
    # torch knows no better word than RuntimeError for what a driver says.
    return (Cause.DRIVER if type(error) is RuntimeError else Cause.UNEXPECTED), f"{type(error).__name__}: {error}"
