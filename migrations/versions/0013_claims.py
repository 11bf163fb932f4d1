"""an index of the jobs that a claim chooses from."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_PUBLISHED = sa.text("published_at IS NOT NULL AND finished_at IS NULL")


def upgrade() -> None:
    op.create_index(
        "ix_jobs_published",
        "jobs",
        ["priority", "published_at", "id"],
        sqlite_where=_PUBLISHED,
        postgresql_where=_PUBLISHED,
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_published", "jobs")
