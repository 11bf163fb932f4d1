"""Text that the terminal's encoding lacks, and names that are no text, are shown or refused: never a traceback."""

import os
import subprocess

import pytest
from installation import Installation
from programs import PRODUCER

pytestmark = pytest.mark.slow

NO_TEXT = os.fsdecode(b"a\xff")
PROMPTS = "red 日本 shoe ☃\nblue “shoe” é\n"


def run(nightshift: Installation, *arguments: object, encoding: str):
    done = nightshift.producer(*arguments, PYTHONIOENCODING=encoding)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_what_the_terminal_cannot_hold_is_shown_by_its_number(nightshift: Installation, encoding):
    file = nightshift.folder / "p.txt"
    file.write_text(PROMPTS)
    status, said, _ = run(nightshift, "enqueue", "--prompts", file, encoding=encoding)
    assert (status, "2 jobs queued" in said) == (0, True)
    status, said, _ = run(nightshift, "enqueue", "--prompts", file, "--dry-run", encoding=encoding)
    assert status == 0
    assert r"red \u65e5\u672c shoe \u2603" in said
    for command in (("status",), ("report",), ("show", "1"), ("coverage",), ("--help",), ("enqueue", "--help-format")):
        assert run(nightshift, *command, encoding=encoding)[0] == 0, command


def test_a_file_whose_name_is_no_text_is_read(nightshift: Installation):
    (nightshift.folder / f"{NO_TEXT}.txt").write_text(PROMPTS)
    # A program of its own, whose interpreter makes text of its arguments.
    arguments = [str(PRODUCER), "enqueue", "--prompts", f"{NO_TEXT}.txt"]
    subprocess.run(arguments, env=nightshift.environment, cwd=nightshift.folder, check=True)
    assert [job.prompt for job in nightshift.jobs()] == PROMPTS.splitlines()


@pytest.mark.parametrize(
    "arguments",
    [
        ("enqueue", "--prompts", NO_TEXT),
        ("enqueue", "--prompt", NO_TEXT),
        ("enqueue", "--prompt", "a", "--negative-prompt", NO_TEXT),
        ("enqueue", "--prompt", "a", "--checkpoint", NO_TEXT),
        ("enqueue", "--prompt", "a", "--batch", NO_TEXT),
        ("enqueue", "--from", NO_TEXT),
        ("enqueue", "--fill", NO_TEXT, "--each", 1),
        *((name, NO_TEXT) for name in ("status", "watch", "report", "coverage", "grid", "check", "cancel", "retry")),
        ("export", NO_TEXT, "there"),
        ("gc", "--batch", NO_TEXT),
        ("report", "--compare", NO_TEXT),
    ],
    ids=lambda arguments: " ".join(map(ascii, arguments[:3])),
)
def test_a_name_that_is_no_text_is_refused_in_a_line(nightshift: Installation, arguments):
    nightshift.enqueue("--prompt", "a shoe")
    status, _, said = run(nightshift, *arguments, encoding="ascii")
    assert status == 2
    assert len(said.splitlines()) <= 3, said
