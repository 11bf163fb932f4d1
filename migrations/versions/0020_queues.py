"""queues: which jobs a worker takes."""

import sqlalchemy as sa
from alembic import op

from models.records.tables.columns import Json

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_PUBLISHED = sa.text("published_at IS NOT NULL AND finished_at IS NULL")


def _index(*columns: str) -> None:
    op.create_index("ix_jobs_published", "jobs", columns, sqlite_where=_PUBLISHED, postgresql_where=_PUBLISHED)


def upgrade() -> None:
    op.add_column("jobs", sa.Column("queue", sa.String(64), nullable=False, server_default=sa.text("'jobs'")))
    op.add_column("boots", sa.Column("queues", Json, nullable=True))
    op.drop_index("ix_jobs_published", "jobs")
    _index("queue", "priority", "turn", "published_at", "id")


def downgrade() -> None:
    op.drop_index("ix_jobs_published", "jobs")
    op.drop_column("boots", "queues")
    op.drop_column("jobs", "queue")
    _index("priority", "turn", "published_at", "id")
