"""Alembic's environment and the schema's versions; `models.records.database` applies them on SQLite by itself."""
