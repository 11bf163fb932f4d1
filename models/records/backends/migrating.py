"""Bringing a database from one version of the schema to another.

A module of its own because Alembic takes a fifth of the time in which a command starts, and a database at
the present version needs none of it.
"""

from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


def migration_config() -> Config:
    """Return Alembic's configuration, found beside the installed packages."""
    config = Config()
    config.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    return config


def known_versions() -> list[str]:
    """Return every version that this program can start from."""
    return [step.revision for step in ScriptDirectory.from_config(migration_config()).walk_revisions()]


def upgrade(connection: Connection, version: str = "head") -> None:
    """Bring the schema behind `connection` to `version` within its transaction."""
    config = migration_config()
    config.attributes["connection"] = connection
    command.upgrade(config, version)
