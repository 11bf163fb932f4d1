"""What the list of the log's events names is told somewhere."""

from pathlib import Path

from worker.events import Event

ROOT = Path(__file__).parents[2]


def test_each_is_told_somewhere():
    code = "".join(file.read_text() for file in (ROOT / "worker").rglob("*.py"))
    assert [event.name for event in Event if f"Event.{event.name}" not in code] == []
