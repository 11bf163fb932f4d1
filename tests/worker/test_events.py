"""`docs/log_events.md` lists what the log tells of, and each of these is told somewhere."""

from pathlib import Path

from worker.events import Event

ROOT = Path(__file__).parents[2]


def test_the_list_in_the_docs_is_complete():
    rows = [f"| `{event}` | {event.sentence} |" for event in Event]
    text = (ROOT / "docs" / "log_events.md").read_text()
    assert [line for line in text.splitlines() if line.startswith("| `")] == rows, "\n".join(rows)


def test_each_is_told_somewhere():
    code = "".join(file.read_text() for file in (ROOT / "worker").rglob("*.py"))
    assert [event.name for event in Event if f"Event.{event.name}" not in code] == []
