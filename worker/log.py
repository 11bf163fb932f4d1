"""The worker's log: one readable line an event, or JSON lines; libraries are quiet unless asked for."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from urllib.parse import unquote

from pythonjsonlogger.json import JsonFormatter

from models.broker_url import secrets
from models.settings import Settings
from models.types.printable import printable
from worker.events import Event

log = logging.getLogger("nightshift")

#: What this process's lines are about: the boot always, and in a thread the attempt that it is at.
_boot: dict[str, int] = {}
_about: ContextVar[dict[str, object]] = ContextVar("about", default={})  # noqa: B039 - it is never changed

#: A password of fewer letters stands in many a word.
_SHORTEST = 4
#: Loggers whose complaints a user must see: a broker that is away, an error in Celery itself.
_HEARD = ("celery", "kombu")
#: Those of them that tell of a lost connection, or of a message, with a traceback of Celery's own code.
_WORDY = ("celery.worker.consumer.consumer", "celery.worker.request")


def event(what: Event, **fields: object) -> dict[str, object]:
    """Return what a line carries for machines: what happened, and what else is known of it."""
    return {"event": str(what), **fields}


def identify(boot: int) -> None:
    """Have every line from now on carry the boot's number."""
    _boot["boot"] = boot


@contextmanager
def about(**fields: object) -> Iterator[None]:
    """Have the lines of this thread carry the fields while the block runs."""
    token = _about.set(_about.get() | fields)
    try:
        yield
    finally:
        _about.reset(token)


class _NoSecrets(logging.Formatter):
    """Strikes the broker's password out of what libraries write, tracebacks included."""

    def __init__(self, formatter: logging.Formatter, secrets: Sequence[str]) -> None:
        super().__init__()
        self._formatter = formatter
        forms = {form for one in secrets for form in (one, unquote(one)) if len(form) >= _SHORTEST}
        self._forms = sorted(forms, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = self._formatter.format(record)
        for form in self._forms:
            line = line.replace(form, "***")
        return line


class _OneLine(logging.Formatter):
    """Text in which nothing that was written by others reaches a terminal that would obey it; tracebacks keep lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line."""
        record.message = printable(record.message)
        return super().formatMessage(record)


def _add_ids(record: logging.LogRecord) -> bool:
    for name, value in (_boot | _about.get()).items():
        if not hasattr(record, name):
            setattr(record, name, value)
    return True


def configure_logging(settings: Settings) -> None:
    """Send our lines and the libraries' complaints to standard error in the format of the settings."""
    handler = logging.StreamHandler(sys.stderr)
    if settings.log_format == "json":
        formatter: logging.Formatter = JsonFormatter(
            "{levelname}{message}", style="{", rename_fields={"levelname": "level"}, timestamp="time"
        )
        handler.addFilter(_add_ids)
    else:
        formatter = _OneLine("{asctime} {levelname:7} {message}", "%Y-%m-%d %H:%M:%S", style="{")
    handler.setFormatter(_NoSecrets(formatter, secrets(settings.broker_url)))
    everything = settings.log_level == "DEBUG"
    logging.basicConfig(handlers=[handler], level=logging.DEBUG if everything else logging.CRITICAL, force=True)
    log.setLevel(settings.log_level)
    for name in _HEARD:
        logging.getLogger(name).setLevel(logging.DEBUG if everything else logging.ERROR)
    logging.captureWarnings(True)
    if not everything:
        warnings.simplefilter("ignore")
        for name in _WORDY:
            logging.getLogger(name).addFilter(_one_line)


def _one_line(record: logging.LogRecord) -> bool:
    """Cut what Celery writes of a lost connection or a foreign message to one line, without its traceback."""
    said = [line for line in record.getMessage().splitlines() if line.strip()]
    # What happened and what follows stand first; details for Celery's developers come after.
    record.msg, record.args, record.exc_info = " ".join(said[:2]), (), None
    return True


def quiet_libraries(settings: Settings) -> None:
    """Stop progress bars and notices of the hub, transformers and diffusers, but at log level DEBUG.

    They read these variables when they are imported, so call it before.
    """
    if settings.log_level == "DEBUG":
        return
    for variable, value in {
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TRANSFORMERS_VERBOSITY": "critical",
        "DIFFUSERS_VERBOSITY": "critical",
        "TQDM_DISABLE": "1",
        "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    }.items():
        os.environ.setdefault(variable, value)


def gigabytes(count: int | None) -> str:
    """Return a size as people read it, or that it was not measured."""
    return "not measured" if count is None else f"{count / 1e9:.2f} GB"
