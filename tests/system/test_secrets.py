"""No run of letters of the broker's password reaches a screen or a log, whatever is wrong with its URL."""

import pytest
from installation import Installation

from models.broker_url import why_unusable
from producer.cli import COMMANDS

SECRET = "qzjxkvwyghpfmbdtlrcn"
ARGUMENTS = {
    "enqueue": ("--prompt", "a shoe"),
    "run": ("--prompt", "a shoe"),
    "estimate": ("--images", "9"),
    "bench": ("here.json",),
    "cancel": ("night",),
    "accept": ("1",),
    "reject": ("1",),
    "show": ("1",),
    "export": ("night", "there"),
    "download": ("demo",),
    "service": ("status",),
    "tune": ("--show",),
}
#: These make pictures with a server of their own, or wait for them, where the URL could be used.
WORK = ("run", "workers", "watch", "bench")
#: Ends when it is told to, and is for browsers.
ENDLESS = ("serve",)
#: Nobody listens on port 1.
USABLE = "redis://:{}@127.0.0.1:1/0"
URLS = [
    USABLE,
    "redis://{}@127.0.0.1:1/0",
    "redis://user:{}@127.0.0.1:99999/0",
    "redis://:{}/x@127.0.0.1:1/0",
    "redis://127.0.0.1:1/{}",
    "redis://127.0.0.1:1/0?password={}",
]
#: One that reads settings alone, one that connects, one that looks at everything: a URL is read by all in one place.
FEW = ("status", "publish", "doctor")


def leaks(text: str) -> list[str]:
    """Return each run of four letters of the secret that stands in a text."""
    return [SECRET[start : start + 4] for start in range(len(SECRET) - 3) if SECRET[start : start + 4] in text]


@pytest.mark.parametrize("form", URLS)
def test_no_command_shows_a_part_of_it(nightshift: Installation, form):
    nightshift.enqueue("--prompt", "a shoe", "--batch", "night")
    for name in COMMANDS if form == USABLE else FEW:
        if name in ENDLESS or (name in WORK and why_unusable(form.format(SECRET)) is None):
            continue
        done = nightshift.producer(name, *ARGUMENTS.get(name, ()), NIGHTSHIFT_BROKER_URL=form.format(SECRET))
        assert not leaks(done.stdout + done.stderr), name
        assert "Traceback" not in done.stderr, name
    written = [path for path in nightshift.data_dir.rglob("*") if path.suffix in (".log", ".json", ".txt")]
    assert not any(leaks(path.read_text(errors="replace")) for path in written)


@pytest.mark.parametrize(("form", "log_format"), [(URLS[0], "text"), *((form, "json") for form in URLS)])
def test_no_worker_logs_a_part_of_it(nightshift: Installation, form, log_format):
    worker = nightshift.start_worker(
        NIGHTSHIFT_BROKER_URL=form.format(SECRET), NIGHTSHIFT_LOG_FORMAT=log_format, NIGHTSHIFT_LOG_LEVEL="DEBUG"
    )
    worker.end_awaited = True
    nightshift.wait_until(lambda: worker.status is not None or "Trying again" in worker.log, "the worker to miss Redis")
    worker.kill()
    assert worker.log.strip()
    assert not leaks(worker.log + worker.output_file.read_text())
