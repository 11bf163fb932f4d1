"""A worker's figures for Prometheus, held against the rows; the dashboard and the alerts ask for what there is."""

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from redis_server import free_port
from small_trainings import data_set, segments, train, wait_until_over
from sqlalchemy import func, select

from models.records.control import pause, resume
from models.records.tables import Attempt, Boot, Verdict
from models.types.errors import SettingsError
from models.types.exit_status import ExitStatus
from models.types.measurement import PARTS
from worker.events import Event
from worker.telemetry.telemetry import Telemetry

DEPLOY = Path(__file__).parents[2] / "deploy"
#: What Prometheus itself has of each place that it asks.
OF_PROMETHEUS = {"up"}


@pytest.fixture(scope="module")
def nightshift(installation):
    port = free_port()
    with installation(NIGHTSHIFT_METRICS=f"127.0.0.1:{port}", NIGHTSHIFT_RETRIES="0") as made:
        made.metrics_url = f"http://127.0.0.1:{port}/metrics"
        made.wait_until_ready(made.start_worker())
        made.enqueue("--prompt", "a red boot", "--count", 3, "--checks", "fill.least=0.99")
        made.enqueue("--prompt", "a red boot")
        made.enqueue("--prompt", "a red boot", "--checkpoint", "absent/absent")
        made.wait_until_finished()
        with made.database.writing() as session:
            pause(session)
        made.enqueue("--prompt", "a blue boot", "--count", 2, "--priority", 1)
        made.enqueue("--prompt", "a blue boot", "--count", 3)
        yield made


def figures(nightshift):
    """Return what is served: values by name and labels."""
    with urllib.request.urlopen(nightshift.metrics_url) as answer:
        text = answer.read().decode()
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def served(nightshift):
    def recorded():
        found = figures(nightshift)
        ended = sum(value for key, value in found.items() if key[0] == "nightshift_attempts_total")
        return found if ended == 5 else None

    # The row comes first, and the figure after it.
    return nightshift.wait_until(recorded, "every attempt to be counted")


def test_pictures_and_attempts_are_those_of_the_rows(nightshift, served):
    with nightshift.database.reading() as session:
        query = select(Attempt.outcome, Attempt.cause, func.count()).group_by(Attempt.outcome, Attempt.cause)
        rows = {(outcome, cause or ""): count for outcome, cause, count in session.execute(query)}
        against = session.scalar(select(func.count()).select_from(Verdict).where(~Verdict.passed))
    assert rows == {("succeeded", ""): 4, ("failed", "checkpoint"): 1}
    for (outcome, cause), count in rows.items():
        assert served["nightshift_attempts_total", ("cause", cause), ("outcome", outcome)] == count
    assert served["nightshift_pictures_total", ("verdict", "rejected")] == 3
    assert served["nightshift_pictures_total", ("verdict", "accepted")] == 1
    assert served["nightshift_rejections_total", ("check", "fill")] == against == 3


@pytest.mark.slow
def test_trainings_are_counted_and_wait_by_queue(installation, tmp_path):
    port = free_port()
    with installation(NIGHTSHIFT_METRICS=f"127.0.0.1:{port}") as made:
        made.metrics_url = f"http://127.0.0.1:{port}/metrics"
        made.wait_until_ready(made.start_worker())
        with made.database.writing() as session:
            pause(session)
        train(made, "counted", data_set(tmp_path / "data"))
        # It is taken from the queue at once, and waits in the worker.
        assert figures(made)["nightshift_trainings_waiting", ("priority", "5"), ("queue", "jobs")] == 1
        with made.database.writing() as session:
            resume(session)
        wait_until_over(made, "counted")
        rows = segments(made, "counted")
        done = made.wait_until(
            lambda: found if (found := figures(made))["nightshift_training_steps_total",] == 12 else None,
            "every segment to be counted",
        )
        assert done["nightshift_segments_total", ("cause", ""), ("outcome", "succeeded")] == len(rows) == 4
        assert done["nightshift_training_step_seconds_sum",] == pytest.approx(sum(row.step_s for row in rows))
        assert not [key for key in done if key[0] == "nightshift_trainings_waiting"]


def test_seconds_are_those_of_the_rows(nightshift, served):
    made = [row for row in nightshift.rows(Attempt) if row.outcome == "succeeded"]
    assert served["nightshift_picture_seconds_sum",] == pytest.approx(sum(row.total_s for row in made))
    assert served["nightshift_picture_seconds_count",] == len(made)
    for part in PARTS:
        seconds = sum(getattr(row, f"{part}_s") for row in made)
        assert served["nightshift_part_seconds_sum", ("part", part)] == pytest.approx(seconds)


def test_what_waits_and_what_is_held_is_of_this_moment(nightshift, served):
    assert served["nightshift_jobs_waiting", ("priority", "1"), ("queue", "jobs")] == 2
    assert served["nightshift_jobs_waiting", ("priority", "5"), ("queue", "jobs")] == 3
    assert served["nightshift_database_up",] == 1
    assert served["nightshift_memory_bytes", ("kind", "rss")] > 10**8
    (boot,) = nightshift.rows(Boot)
    (of_worker,) = [dict(key[1:]) for key in served if key[0] == "nightshift_worker_info"]
    assert (of_worker["boot"], of_worker["host"], of_worker["device"]) == (str(boot.id), boot.host, "cpu")


def test_what_the_log_tells_of_is_counted(nightshift, served):
    assert served["nightshift_log_events_total", ("event", Event.ATTEMPT_SUCCEEDED)] == 4
    assert served["nightshift_log_events_total", ("event", Event.WORKER_READY)] == 1
    # Known before it happens, so that its first time is a change.
    assert served["nightshift_log_events_total", ("event", Event.JOB_QUARANTINED)] == 0


def test_an_address_that_is_taken_is_one_line(nightshift):
    other = nightshift.start_worker(NIGHTSHIFT_DATA_DIR=str(nightshift.folder / "other"))
    assert other.wait() == ExitStatus.CANNOT_START
    (line,) = [line for line in other.lines if "CRITICAL" in line]
    assert re.search(r"NIGHTSHIFT_METRICS=127\.0\.0\.1:\d+: nothing can listen there \(.*in use", line)


def test_without_the_library_it_says_what_to_install(settings, monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("prometheus_client", "worker.telemetry.metrics"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(SettingsError, match=r"pip install 'nightshift\[metrics\]'"):
        Telemetry(settings(metrics="127.0.0.1:9464"), None, None, 1)


def names_asked_for(expression):
    without_words = re.sub(r'"[^"]*"|\b(by|and|or|on)\b|\([a-z_, ]*\)(?= \()', "", expression)
    return set(re.findall(r"\b(?:nightshift|process)_\w+\b|\bup\b", without_words))


def test_the_dashboard_and_the_alerts_ask_for_what_is_served(served):
    board = json.loads((DEPLOY / "grafana.json").read_text())
    rules = yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"][0]["rules"]
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    expressions += [rule["expr"] for rule in rules]
    names = set().union(*map(names_asked_for, expressions))
    assert len(names) > 8
    assert names - OF_PROMETHEUS <= {key[0] for key in served}
    events = re.findall(r'event=~"([^"]*)"', " ".join(expressions))
    assert {event for each in events for event in each.split("|")} <= set(Event)


def test_promtool_takes_the_alerts():
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool, of Debian's package prometheus, is not installed")
    done = subprocess.run([promtool, "check", "rules", str(DEPLOY / "alerts.yml")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_manual_names_each_of_them(served):
    said = (DEPLOY.parent / "docs" / "operations.md").read_text()
    names = {re.sub(r"_(total|sum|count|bucket|created|info)$", "", key[0]) for key in served}
    assert {name for name in names if name.startswith("nightshift_") and name not in said} == set()


def test_nothing_of_a_prompt_or_a_password_is_served(nightshift):
    with urllib.request.urlopen(nightshift.metrics_url) as answer:
        text = answer.read().decode()
    assert 'boot="' in text
    for secret in ("a red", "a blue", nightshift.environment["NIGHTSHIFT_BROKER_URL"], str(nightshift.data_dir)):
        assert secret not in text
