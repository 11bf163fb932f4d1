"""How an error ends an attempt."""

from dataclasses import fields
from typing import Any

import pytest

from models.records.claims import Claim
from models.types.causes import Cause
from models.types.errors import (
    AttemptStoppedError,
    CancelledError,
    CheckpointError,
    GenerationError,
    LostClaimError,
    StorageError,
)
from models.types.measurement import Measurement, Timings
from models.types.states import Outcome
from worker.attempt.attempt import Attempt, ended_by


@pytest.fixture
def saved():
    """An attempt whose picture was written and waits to be settled."""
    ids: dict[str, Any] = dict.fromkeys((field.name for field in fields(Claim)), 1)
    measured = Measurement(timings=Timings(denoise_s=2.0, save_s=0.5), total_s=2.5, gap_s=0.1, picture_bytes=9)
    return Attempt(
        Claim(**ids),
        None,
        load_id=3,
        measured=measured,
        content=b"x",
        name="pictures/batch-0001/job-00000001.png",
        outcome=Outcome.SUCCEEDED,
    )


@pytest.mark.parametrize(
    ("error", "outcome", "cause"),
    [
        (CancelledError("by a person"), Outcome.CANCELLED, Cause.CANCELLED),
        (LostClaimError("taken"), Outcome.LOST, Cause.WORKER_LOST),
        (AttemptStoppedError("told to end"), Outcome.LOST, Cause.STOPPED),
        (StorageError("full"), Outcome.LOST, Cause.STORAGE),
        (GenerationError(Cause.NOT_FINITE, "NaN"), Outcome.FAILED, Cause.NOT_FINITE),
        (CheckpointError("gone"), Outcome.FAILED, Cause.CHECKPOINT),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_error_is_an_outcome_with_its_cause(saved, error, outcome, cause):
    result = ended_by(saved, error).result
    assert (result.outcome, result.cause, result.error) == (outcome, cause, str(error))


@pytest.mark.parametrize(
    ("error", "cause"),
    [(RuntimeError("command buffer"), Cause.DRIVER), (NotImplementedError("an op"), Cause.UNEXPECTED)],
)
def test_what_nobody_foresaw_is_named_with_its_kind_and_a_bare_one_is_the_drivers(saved, error, cause):
    result = ended_by(saved, error).result
    assert (result.outcome, result.cause) == (Outcome.FAILED, cause)
    assert result.error == f"{type(error).__name__}: {error}"


def test_an_attempt_that_made_no_picture_in_the_end_has_no_total_and_no_file(saved):
    assert saved.result.picture is not None
    result = ended_by(saved, StorageError("full")).result
    assert (result.picture, result.measured.total_s, result.measured.gap_s) == (None, None, None)
    # What was measured on the way stays.
    assert (result.load_id, result.measured.timings.denoise_s) == (3, 2.0)


def test_every_cause_has_a_sentence():
    assert all(cause.sentence for cause in Cause)
