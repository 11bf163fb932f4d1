"""Identities of jobs are the same in Python and in SQL, and each looks at its own fields and at no others."""

from dataclasses import fields

import pytest
from sqlalchemy import select

from models.records.batches import spec_of
from models.records.tables import Job
from models.records.tables.identity_columns import are_of, columns, from_row
from models.types.identity import Configuration, Kind, Knobs, Setup, Shape, Tuning, Weights

OF_JOBS = (Weights, Shape, Setup, Kind)
OTHER = {
    "checkpoint": "other",
    "width": 192,
    "height": 192,
    "guidance": 1.0,
    "steps": 99,
    "scheduler": "DDIM",
    "lora": "olive:0.8",
}


@pytest.fixture
def jobs(records, write):
    """A job, and for each of those fields one that differs from it in nothing else."""
    first, *others = [message.job for message in records.messages(records.batch(jobs=1 + len(OTHER)))]

    def change(session):
        rows = {job.id: job for job in session.scalars(select(Job))}
        for job_id in (first, *others):
            rows[job_id].guidance = 7.5
            rows[job_id].scheduler = "PNDM"
        for job_id, (name, value) in zip(others, OTHER.items(), strict=True):
            setattr(rows[job_id], name, value)

    write(change)
    return first, dict(zip(OTHER, others, strict=True))


@pytest.mark.parametrize("identity", OF_JOBS)
def test_what_differs_in_a_field_of_its_own_is_another_one_and_nothing_else_is(jobs, read, identity):
    first, others = jobs
    specs = {job.id: spec_of(job) for job in read(lambda session: session.scalars(select(Job)).all())}
    rows = {row.id: row for row in read(lambda session: session.execute(select(*columns(identity), Job.id)).all())}
    of_first = identity.of(specs[first])
    own = {"guidance" if field.name == "guided" else field.name for field in fields(identity)}
    for name, job_id in others.items():
        found = identity.of(specs[job_id])
        assert (found == of_first) == (name not in own)
        assert from_row(identity, rows[job_id]) == found
    alike = read(lambda session: set(session.scalars(select(Job.id).where(*are_of(of_first)))))
    assert alike == {first} | {job_id for name, job_id in others.items() if name not in own}


def test_a_part_is_taken_from_what_is_made_of_it():
    kind, setup = Kind("demo", 128, 192, True, 12, "DDIM"), Setup("demo", 128, 192, True, "olive:0.8")
    for each in (kind, setup):
        assert Weights.of(each) == Weights("demo")
        assert Shape.of(each) == Shape(128, 192, True)
    configuration = Configuration("Apple M2 Max", "mps", "float16", Knobs(), "demo")
    assert (Tuning.of(configuration), Weights.of(configuration)) == (
        Tuning("Apple M2 Max", "mps", "float16", Knobs()),
        Weights("demo"),
    )
