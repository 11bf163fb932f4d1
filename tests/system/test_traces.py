"""Traces by OpenTelemetry: one a job, from `enqueue` to its row, at a collector that speaks OTLP over HTTP."""

import json
import sys
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from redis import Redis
from redis_server import free_port
from small_trainings import data_set, train, training, wait_until_over

from models.records.tables import Attempt, Batch, Job
from models.types.errors import SettingsError
from models.types.measurement import PARTS
from models.types.message import DEFAULT_QUEUE, JobMessage, SegmentMessage
from worker.queue.app import KEY_PREFIX
from worker.queue.traces import Traces, ids_of, traceparent


class Collector:
    """Takes spans, and keeps them."""

    def __init__(self):
        self.spans = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                request = ExportTraceServiceRequest()
                request.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
                for of_program in request.resource_spans:
                    about = values(of_program.resource.attributes)
                    for scope in of_program.scope_spans:
                        collector.spans += [(about["service.name"], span) for span in scope.spans]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def traces(self):
        """Return the spans of each trace, the first ones first."""
        found = defaultdict(list)
        for program, span in sorted(self.spans, key=lambda one: one[1].start_time_unix_nano):
            found[span.trace_id].append((program, span))
        return found

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def values(attributes):
    return {
        one.key: getattr(one.value, one.value.WhichOneof("value"))
        for one in attributes
        if one.value.WhichOneof("value")
    }


@pytest.fixture(scope="module")
def collector():
    made = Collector()
    yield made
    made.close()


@pytest.fixture(scope="module")
def nightshift(installation, collector):
    with installation(NIGHTSHIFT_TRACES=collector.url, NIGHTSHIFT_RETRIES="0") as made:
        yield made


@pytest.fixture(scope="module")
def made(nightshift, collector):
    """Return the traces of three jobs, of which the last fails."""
    nightshift.enqueue("--prompt", "a red boot", "--count", 2)
    nightshift.enqueue("--prompt", "a blue boot", "--checkpoint", "nobody/nothing")
    worker = nightshift.start_worker()
    nightshift.wait_until_finished()
    # What waits to be sent is sent at the end.
    assert worker.stop() == 0
    return collector.traces()


def messages(nightshift):
    uids = {batch.id: batch.uid for batch in nightshift.rows(Batch)}
    return [JobMessage(job=job.id, batch=uids[job.batch_id]) for job in nightshift.rows(Job)]


def test_each_job_has_a_trace_from_its_enqueue_to_its_row(nightshift, made):
    asked = messages(nightshift)
    assert len(asked) == 3
    assert set(made) == {ids_of(message)[0].to_bytes(16) for message in asked}
    for message in asked[:2]:
        trace, first = ids_of(message)
        spans = made[trace.to_bytes(16)]
        programs = {span.name: program for program, span in spans}
        assert programs == {"enqueue": "nightshift-producer"} | dict.fromkeys(("attempt", *PARTS), "nightshift-worker")
        assert len(spans) == len(programs)
        named = {span.name: span for _, span in spans}
        enqueued, attempt = named["enqueue"], named["attempt"]
        assert (enqueued.span_id, enqueued.parent_span_id) == (first.to_bytes(8), b"")
        assert attempt.parent_span_id == enqueued.span_id
        assert {named[part].parent_span_id for part in PARTS} == {attempt.span_id}
        about = values(attempt.attributes)
        assert about["nightshift.job"] == message.job
        assert about["nightshift.outcome"] == "succeeded"


@pytest.mark.slow
def test_each_training_has_a_trace_from_its_asking_to_its_last_segment(nightshift, made, collector, tmp_path):
    train(nightshift, "traced", data_set(tmp_path / "data"))
    worker = nightshift.start_worker()
    wait_until_over(nightshift, "traced")
    assert worker.stop() == 0
    message = SegmentMessage(training=1, uid=training(nightshift, "traced").uid)
    trace, first = ids_of(message)
    spans = [span for _, span in collector.traces()[trace.to_bytes(16)]]
    asked = [span for span in spans if span.name == "train"]
    assert [span.span_id for span in asked] == [first.to_bytes(8)]
    done = [span for span in spans if span.name == "segment"]
    assert {span.parent_span_id for span in done} == {first.to_bytes(8)}
    assert [values(span.attributes)["nightshift.step"] for span in done] == [3, 6, 9, 12]
    parts = [span for span in spans if span.name in ("ready", "save")]
    assert {span.parent_span_id for span in parts} == {span.span_id for span in done}
    for part in parts:
        (above,) = [span for span in done if span.span_id == part.parent_span_id]
        assert above.start_time_unix_nano <= part.start_time_unix_nano
        assert part.end_time_unix_nano <= above.end_time_unix_nano


def test_the_parts_take_as_long_as_the_row_says(nightshift, made):
    for row in nightshift.rows(Attempt)[:2]:
        message = next(message for message in messages(nightshift) if message.job == row.job_id)
        spans = {span.name: span for _, span in made[ids_of(message)[0].to_bytes(16)]}
        for part in PARTS:
            seconds = (spans[part].end_time_unix_nano - spans[part].start_time_unix_nano) / 1e9
            assert seconds == pytest.approx(getattr(row, f"{part}_s"), abs=1e-5)


def test_one_that_failed_says_why(nightshift, made):
    message = messages(nightshift)[2]
    spans = {span.name: span for _, span in made[ids_of(message)[0].to_bytes(16)]}
    assert spans["attempt"].status.code == 2
    assert "nobody/nothing" in spans["attempt"].status.message
    assert values(spans["attempt"].attributes)["nightshift.cause"] == "checkpoint"


def test_a_message_names_its_trace_as_other_programs_know_it(nightshift, made):
    batch = nightshift.enqueue("--prompt", "a green boot")
    (job,) = nightshift.jobs(batch)
    (message,) = [message for message in messages(nightshift) if message.job == job.id]
    with Redis.from_url(nightshift.environment["NIGHTSHIFT_BROKER_URL"]) as client:
        keys = client.keys(f"{KEY_PREFIX}{DEFAULT_QUEUE}*")
        contents = [json.loads(text) for key in keys for text in client.lrange(key, 0, -1)]
    assert traceparent(message) in [content["headers"].get("traceparent") for content in contents]


def test_a_collector_that_is_away_costs_nothing_but_a_line(installation):
    with installation(NIGHTSHIFT_TRACES=f"http://127.0.0.1:{free_port()}") as nightshift:
        done = nightshift.producer("enqueue", "--prompt", "a red boot", "--count", 3)
        assert done.returncode == 0
        assert done.stderr.count("\n") == 1
        assert "traces are lost: the collector at http://127.0.0.1:" in done.stderr
        worker = nightshift.start_worker()
        assert {job.state for job in nightshift.wait_until_finished()} == {"succeeded"}
        assert worker.stop() == 0
        assert worker.log.count("traces are lost") == 1
        assert "Traceback" not in worker.log


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(SettingsError, match=r"pip install 'nightshift\[traces\]'"):
        Traces("http://127.0.0.1:4318", "nightshift-worker")


def test_an_address_that_is_none_is_refused(nightshift):
    done = nightshift.producer("status", NIGHTSHIFT_TRACES="here")
    assert done.returncode == 2
    assert "NIGHTSHIFT_TRACES='here': is no address of a collector" in done.stderr
