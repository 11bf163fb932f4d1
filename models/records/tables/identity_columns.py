"""The identities of jobs in SQL."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

from sqlalchemy import ColumnElement

from models.records.tables import Job
from models.types.identity import Identity
from models.types.job import NO_GUIDANCE

_GUIDED = (Job.guidance > NO_GUIDANCE).label("guided")
_Identity = TypeVar("_Identity", bound=Identity)


def columns(identity: type[Identity]) -> tuple[Any, ...]:
    """Return the columns of a job that make up its identity, in the order of the fields."""
    return tuple(_GUIDED if field.name == "guided" else getattr(Job, field.name) for field in fields(identity))


def from_row(identity: type[_Identity], row: Sequence[Any]) -> _Identity:
    """Return the identity that a row says which begins with its columns."""
    values = zip(fields(identity), row, strict=False)
    # SQLite has no truth values.
    return identity(*(bool(value) if field.name == "guided" else value for field, value in values))


def are_of(identity: Identity) -> list[ColumnElement[bool]]:
    """Return what holds for jobs of the identity alone."""
    return [_is(field.name, getattr(identity, field.name)) for field in fields(identity)]


def _is(name: str, value: Any) -> ColumnElement[bool]:
    if name == "guided":
        return Job.guidance > NO_GUIDANCE if value else Job.guidance <= NO_GUIDANCE
    condition: ColumnElement[bool] = getattr(Job, name) == value
    return condition
