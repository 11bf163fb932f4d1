"""Changing many jobs by one statement."""

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, update
from sqlalchemy.orm import Session

from models.records.tables import Job


def change_jobs(session: Session, *where: ColumnElement[bool], values: dict[str, object]) -> int:
    """Give every job that `where` holds for the values, and return how many those are."""
    result = session.execute(update(Job).where(*where).values(values).execution_options(synchronize_session=False))
    return TypeAdapter(int).validate_python(getattr(result, "rowcount", 0))
