"""Alembic's environment and the schema's versions; `models.database` applies them on SQLite by itself."""
