"""turns: batches of one priority that wait at the same time are made side by side."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_PUBLISHED = sa.text("published_at IS NOT NULL AND finished_at IS NULL")


def _index(*columns: str) -> None:
    op.create_index("ix_jobs_published", "jobs", columns, sqlite_where=_PUBLISHED, postgresql_where=_PUBLISHED)


def upgrade() -> None:
    op.add_column("jobs", sa.Column("turn", sa.Integer(), nullable=False, server_default=sa.text("0")))
    # A batch's jobs were numbered in the order in which they were asked for. Batch by batch: one statement for all
    # would read the whole batch for each of its rows, to find the first.
    connection = op.get_bind()
    firsts = connection.execute(sa.text("SELECT batch_id, min(id) FROM jobs GROUP BY batch_id")).all()
    for batch_id, first in firsts:
        turns = sa.text("UPDATE jobs SET turn = id - :first WHERE batch_id = :batch AND state = 'queued'")
        connection.execute(turns, {"first": first, "batch": batch_id})
    op.drop_index("ix_jobs_published", "jobs")
    _index("priority", "turn", "published_at", "id")


def downgrade() -> None:
    op.drop_index("ix_jobs_published", "jobs")
    op.drop_column("jobs", "turn")
    _index("priority", "published_at", "id")
