"""What a worker writes: one line an event, as text or as JSON, and nothing of its libraries."""

import ast
import json
import re
from datetime import datetime
from pathlib import Path

import pytest

import worker
from models.checkpoints import DEMO_FOLDER
from models.records.tables import Attempt
from worker.queue.app import TASK, make_app

#: All that the night below writes, in its order; N is a number with two or three places.
NIGHT = [
    r"INFO    the safety checker is off; NIGHTSHIFT_SAFETY_CHECKER=true turns it on",
    r"INFO    loading demo from /.*/models/demo …",
    r"INFO    loaded demo \([0-9a-f]{10}\) in N s: cpu, float32",
    r"INFO    warmed up in N s \(2 steps at 128x128\); memory N GB",
    r"INFO    ready for jobs on cpu \(.+\)",
    (
        r"INFO    job 1 \(night\) made in N s: encode N, denoise N, decode N, validate N; saved in N s; N steps/s; "
        r"memory peak N GB"
    ),
    r"INFO    job 2 \(night\) made in .*; memory peak N GB; prompt cut after 77 tokens: …red boot",
    r"ERROR   job 3 \(night\) failed: checkpoint /.*/none: there is no such file or folder\. .*",
    r"WARNING message dropped, it is no job of ours: message: .*",
    r"INFO    SIGTERM: finishes the running job and ends; once more gives it back",
]
NIGHT = [re.sub(r"\bN\b", r"\\d+\\.\\d{2,3}", pattern) for pattern in NIGHT]
JOBS = [
    {"prompt": "a shoe"},
    {"prompt": " ".join(["shoe"] * 75) + " red boot"},
    {"prompt": "a shoe", "checkpoint": str(DEMO_FOLDER / "none"), "steps": 1},
]


@pytest.fixture(scope="module")
def nights(installation, settings):
    """The same night twice, logged as text and as JSON, by two workers at the same time."""
    with installation() as text, installation() as lines:
        nights = {"text": text, "json": lines}
        for log_format, night in nights.items():
            (night.folder / "jobs.jsonl").write_text("\n".join(map(json.dumps, JOBS)))
            night.enqueue("--prompts", night.folder / "jobs.jsonl", "--batch", "night")
            # What libraries say as they are imported would be seen in the first.
            start = night.start_worker_anew if log_format == "text" else night.start_worker
            start(NIGHTSHIFT_LOG_FORMAT=log_format)
        for night in nights.values():
            night.wait_until_finished()
            with make_app(settings(broker_url=night.environment["NIGHTSHIFT_BROKER_URL"])) as app:
                app.send_task(TASK, args=[1], priority=9)
            worker = night.workers[0]
            night.wait_until(lambda worker=worker: "dropped" in worker.log, "the foreign message to be dropped")
            assert worker.stop() == 0
        yield nights


@pytest.fixture(scope="module")
def text(nights):
    return nights["text"].workers[0].lines


@pytest.fixture(scope="module")
def records(nights):
    return [json.loads(line) for line in nights["json"].workers[0].lines]


def test_the_log_has_one_line_an_event_and_nothing_else(text):
    assert len(text) == len(NIGHT)
    for line, pattern in zip(text, NIGHT, strict=True):
        day, clock, said = line.split(" ", 2)
        datetime.strptime(f"{day} {clock} +0000", "%Y-%m-%d %H:%M:%S %z")
        assert re.fullmatch(pattern, said)


def test_json_lines_say_the_same(records):
    assert len(records) == len(NIGHT)
    for record, pattern in zip(records, NIGHT, strict=True):
        assert re.fullmatch(pattern, f"{record['level']:7} {record['message']}")
    moments = [datetime.fromisoformat(record["time"]) for record in records]
    assert moments == sorted(moments)


def test_a_jobs_json_line_carries_its_row(nights, records):
    attempts = {row.job_id: row for row in nights["json"].rows(Attempt)}
    done = [record for record in records if record.get("outcome") == "succeeded"]
    assert [record["job"] for record in done] == [1, 2]
    for record in done:
        row = attempts[record["job"]]
        assert (record["batch"], record["attempt_number"], record["picture"]) == (
            "night",
            1,
            f"pictures/batch-0001/job-{row.job_id:08d}.png",
        )
        columns = [name for name in Attempt.__table__.columns.keys() if name.endswith(("_s", "_bytes"))]  # noqa: SIM118
        measured = set(columns) - {"queue_wait_s", "started_s", "finished_s"}
        assert measured <= set(record)
        assert {name: record[name] for name in measured} == {name: getattr(row, name) for name in measured}
    (failed,) = [record for record in records if record.get("outcome") == "failed"]
    assert (failed["job"], failed["level"], failed["cause"]) == (3, "ERROR", "checkpoint")


def test_each_json_line_names_its_event_and_what_it_is_about(records):
    assert [record["event"] for record in records] == [
        *("safety_checker.off", "load.begun", "load.done", "warm_up.done", "worker.ready"),
        *("attempt.succeeded", "attempt.succeeded", "attempt.ended", "message.dropped", "worker.told"),
    ]
    assert {record["boot"] for record in records} == {1}
    ended = [record for record in records if record["event"].startswith("attempt.")]
    assert [(record["job"], record["attempt"], record["batch"]) for record in ended] == [
        (number, number, "night") for number in (1, 2, 3)
    ]
    assert not any("job" in record for record in records if record not in ended)


@pytest.mark.parametrize("file", sorted(Path(worker.__file__).parent.rglob("*.py")), ids=lambda file: file.name)
def test_no_line_of_the_log_is_without_its_event(file):
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    lines = [
        ast.unparse(call)
        for call in calls
        if re.match(r"log\.(?!debug|setLevel|addFilter|addHandler|removeHandler)", ast.unparse(call.func))
    ]
    assert [line for line in lines if "extra=event(" not in line] == []


def test_loads_and_warm_ups_carry_their_figures(records):
    (load,) = [record for record in records if "load_s" in record]
    (warmup,) = [record for record in records if "warmup_s" in record]
    assert load["checkpoint"] == "demo"
    assert load["revision"].startswith("sha256:")
    assert warmup["warmup_steps"] == 2
    assert warmup["rss_bytes"] > 0


def test_standard_output_is_left_alone(nights):
    for night in nights.values():
        assert night.workers[0].output_file.read_text() == ""
