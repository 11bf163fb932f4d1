"""Alembic's environment: migrates the connection it is handed, or the database that the settings name."""

from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection, create_engine

from models.records.tables.columns import Base, UtcDateTime
from models.settings import load_settings


def _render_plainly(kind: str, item: object, _autogen: AutogenContext) -> str | Literal[False]:
    """Keep versions free of the project's own types, which change while a version must not."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        render_item=_render_plainly,
    )
    with context.begin_transaction():
        context.run_migrations()


_given: Connection | None = context.config.attributes.get("connection")
if _given is not None:
    _run(_given)
else:
    with create_engine(load_settings().database).connect() as _connection:
        _run(_connection)
        _connection.commit()
