"""What a message says: what is understood, what is left to a newer program, and what is refused."""

import json

import pytest
from pydantic import ValidationError

from models.types.job import MAX_KEY
from models.types.message import VERSION, JobMessage, NewerMessageError, SegmentMessage, read_message

UID = "0123456789abcdef" * 2
GOOD = {"version": 2, "job": 1, "batch": UID}
GOOD_SEGMENT = {"version": 3, "training": 1, "uid": UID}


def test_a_message_comes_back_from_the_wire_as_it_was():
    message = JobMessage(job=MAX_KEY, batch=UID)
    wire = json.dumps(message.model_dump(mode="json"))
    assert read_message(json.loads(wire)) == message
    assert json.loads(wire) == GOOD | {"job": MAX_KEY}


@pytest.mark.parametrize(
    "more", [{"version": 1, "spec": {"prompt": "a shoe"}}, {"lora": "shoes"}, {"spec": None}], ids=str
)
def test_what_another_version_has_beside_the_job_is_not_read(more):
    message = read_message(GOOD | more)
    assert isinstance(message, JobMessage)
    assert (message.job, message.batch) == (1, UID)


@pytest.mark.parametrize("changed", [{}, {"job": "a7"}, {"batch": None}], ids=str)
def test_a_message_of_a_newer_version_is_not_judged_by_what_this_one_expects(changed):
    with pytest.raises(NewerMessageError, match=f"version {VERSION + 1}, and this program knows {VERSION}"):
        read_message(GOOD | {"version": VERSION + 1} | changed)


@pytest.mark.parametrize(
    "values",
    [
        {"job": 0}, {"job": MAX_KEY + 1}, {"job": 2**70}, {"job": "one"}, {"batch": UID[1:]}, {"batch": UID + "0"},
        {"batch": UID.upper()}, {"batch": f"{UID[1:]}\n"}, {"version": 0}, {"version": 2**70}, {"version": None},
        {"version": 1.5}, {"version": True}, {"version": "2"},
    ],
    ids=str,
)  # fmt: skip
def test_a_message_that_is_not_of_this_kind_is_refused(values):
    read_message(GOOD)
    with pytest.raises(ValidationError) as caught:
        read_message(GOOD | values)
    assert {error["loc"][0] for error in caught.value.errors()} == set(values)


@pytest.mark.parametrize("payload", [None, [], "x", 7, {}], ids=str)
def test_what_is_no_message_at_all_is_refused(payload):
    with pytest.raises(ValidationError):
        read_message(payload)


def test_a_segments_message_comes_back_from_the_wire_as_it_was():
    message = SegmentMessage(training=MAX_KEY, uid=UID)
    wire = json.dumps(message.model_dump(mode="json"))
    assert read_message(json.loads(wire)) == message
    assert json.loads(wire) == GOOD_SEGMENT | {"training": MAX_KEY}


@pytest.mark.parametrize(
    "values", [{"training": 0}, {"training": MAX_KEY + 1}, {"uid": UID[1:]}, {"uid": None}], ids=str
)
def test_a_segments_message_that_is_none_is_refused(values):
    with pytest.raises(ValidationError) as caught:
        read_message(GOOD_SEGMENT | values)
    assert {error["loc"][0] for error in caught.value.errors()} == set(values)
