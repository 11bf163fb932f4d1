"""`producer show`: all that is known of a job, and its picture where the terminal says that it can."""

import base64
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

import pytest
from installation import Installation
from programs import PATIENCE_S, PRODUCER

TWINS = ("--prompt", "a red boot", "--prompt", "a red boot\x1b]0;x\x07", "--seed", 1)
#: What a terminal is asked, and what one answers that knows Sixel, kitty's protocol, or neither.
ATTRIBUTES, GRAPHICS = b"\x1b[c", b"\x1b_G"
SIXEL, PLAIN = b"\x1b[?62;4c", b"\x1b[?62c"
KITTY = b"\x1b_Gi=1;OK\x1b\\"


@pytest.fixture(scope="module")
def nightshift(installation):
    """Job 1 is accepted, job 2 rejected as its duplicate and replaced by job 3, job 4 waits."""
    with installation() as made:
        done = made.producer("run", *TWINS, "--checks", "duplicates", "--target", 2)
        assert done.returncode == 0, done.stderr
        made.enqueue("--prompt", "${colour=!{blue}}a ${colour} boot", "--template", "combinatorial")
        yield made


def words(nightshift: Installation, job: int) -> str:
    """Return what is shown of a job, with single spaces."""
    return " ".join(nightshift.producer("show", job).stdout.split())


def test_everything_is_shown_in_words(nightshift: Installation):
    shown = words(nightshift, 2)
    job = nightshift.jobs()[1]
    assert shown.startswith("Job 2 of prompt-1: rejected prompt a red boot")
    for text in (
        "a red boot\\x1b]0;x\\x07",
        "replaced by job 3",
        str(nightshift.data_dir / job.picture),
        "Attempt 1: succeeded",
        "duplicates rejected job 1 is nearly the same",
    ):
        assert text in shown, shown
    assert "\x1b" not in shown
    assert "stands in for job 2" in words(nightshift, 3)
    waiting = words(nightshift, 4)
    assert waiting.startswith("Job 4 of prompt-2: queued")
    assert "colour blue" in waiting
    assert "Attempt" not in waiting


def test_a_person_and_a_missing_picture_are_named(nightshift: Installation):
    assert nightshift.producer("accept", 2).returncode == 0
    picture = nightshift.data_dir / nightshift.jobs()[1].picture
    content = picture.read_bytes()
    picture.unlink()
    try:
        shown = words(nightshift, 2)
        assert "a person accepted it" in shown
        assert "job-00000002.png, which is not there any more" in shown
    finally:
        picture.write_bytes(content)
        assert nightshift.producer("reject", 2).returncode == 0


def test_json_has_every_column(nightshift: Installation):
    found = nightshift.read_json("show", 2)
    assert (found["values"]["seed"], found["values"]["state"], found["replaced_by"]) == (1, "rejected", 3)
    (attempt,) = found["attempts"]
    assert attempt["values"]["total_s"] > 0
    assert attempt["revision"].startswith("sha256:")
    assert found["findings"][0]["check"] == "duplicates"
    assert found["path"] == str(nightshift.data_dir / found["values"]["picture"])


def test_a_job_that_is_not_there_is_one_line(nightshift: Installation):
    done = nightshift.producer("show", 99)
    assert (done.returncode, done.stderr.startswith("producer: there is no job 99")) == (2, True)


def on_terminal(
    nightshift: Installation, *arguments: object, attributes: bytes, graphics: bytes | None, **variables: str
) -> bytes:
    """Return what the producer writes on a terminal that answers so, and that says of itself what `variables` do."""
    ours, theirs = pty.openpty()
    # 100 columns of 10 pixels, 50 lines of 20.
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 100, 1000, 1000))
    own = {"TERM": "xterm-256color", "TERM_PROGRAM": "", "LC_TERMINAL": ""} | variables
    environment = os.environ | nightshift.environment | own
    process = subprocess.Popen(
        [str(PRODUCER), *map(str, arguments)], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    said, deadline = b"", time.monotonic() + PATIENCE_S
    answered = set()
    while time.monotonic() < deadline:
        ready, _, _ = select.select([ours], [], [], 0.1)
        if ready:
            try:
                said += os.read(ours, 65536)
            except OSError:
                break
        elif process.poll() is not None:
            break
        for asked, answer in ((ATTRIBUTES, attributes), (GRAPHICS, graphics)):
            if asked in said and answer is not None and asked not in answered:
                answered.add(asked)
                os.write(ours, answer)
    assert process.wait(PATIENCE_S) == 0, said
    os.close(ours)
    assert (ATTRIBUTES in answered) != bool(variables)
    return said


def test_a_terminal_that_knows_sixel_shows_the_picture(nightshift: Installation):
    said = on_terminal(nightshift, "show", 1, attributes=SIXEL, graphics=None)
    assert b"\x1bP" in said
    assert len(said) > 5_000


def test_kitty_shows_the_picture(nightshift: Installation):
    said = on_terminal(nightshift, "show", 1, attributes=PLAIN, graphics=KITTY)
    assert b"\x1bP" not in said
    assert said.count(GRAPHICS) > 1


@pytest.mark.parametrize("variables", [{"TERM_PROGRAM": "iTerm.app"}, {"LC_TERMINAL": "iTerm2"}])
def test_iterm_gets_the_file(nightshift: Installation, variables):
    said = on_terminal(nightshift, "show", 1, attributes=SIXEL, graphics=None, **variables)
    content = (nightshift.data_dir / nightshift.jobs()[0].picture).read_bytes()
    head, _, rest = said.partition(b"\x1b]1337;File=")
    arguments, _, encoded = rest.partition(b":")
    assert b"inline=1" in arguments.split(b";")
    assert base64.b64decode(encoded.partition(b"\x07")[0]) == content
    assert b"job-00000001.png" in head


def test_a_terminal_that_shows_no_pictures_gets_the_path(nightshift: Installation):
    said = on_terminal(nightshift, "show", 1, attributes=PLAIN, graphics=None)
    assert b"\x1bP" not in said
    assert said.count(GRAPHICS) <= 1
    assert b"job-00000001.png" in said
