"""Kinds of columns, and the class that all tables are made of."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, MetaData, String, Text, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, mapped_column

from models.types.errors import UnreadableRowError


class _Readable:
    """Says in one line what is wrong with a value that SQLite keeps, which keeps anything."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        """Return the usual reader, with another error."""
        read: Callable[[Any], Any] | None = super().result_processor(dialect, coltype)  # type: ignore[misc]
        if read is None:
            return None

        def read_or_say(value: Any) -> Any:
            try:
                return read(value)
            except (ValueError, TypeError) as error:
                raise UnreadableRowError(
                    f"a row of the database holds what cannot be read ({error}): it was changed by hand, or the file "
                    "is damaged; bring back a copy, or put the row right"
                ) from error

        return read_or_say


class Json(_Readable, TypeDecorator[Any]):
    """JSON, in which None is NULL."""

    impl = JSON(none_as_null=True)
    cache_ok = True


class UtcDateTime(_Readable, TypeDecorator[datetime]):
    """A moment in UTC; SQLite keeps no zone, so it is put back when read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a moment without a zone, which nobody could place."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time of day needs its zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Give the moment its zone back."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Base(DeclarativeBase):
    """Names every constraint, so that a migration can name it too on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


Key = Annotated[int, mapped_column(primary_key=True)]
Bytes = Annotated[int | None, mapped_column(BigInteger)]
Moment = Annotated[datetime, mapped_column(UtcDateTime)]
MomentOrNone = Annotated[datetime | None, mapped_column(UtcDateTime)]
ClockName = Annotated[str | None, mapped_column(String(12))]
Word = Annotated[str, mapped_column(String(64))]
WordOrNone = Annotated[str | None, mapped_column(String(64))]
LongText = Annotated[str, mapped_column(Text)]
LongTextOrNone = Annotated[str | None, mapped_column(Text)]
