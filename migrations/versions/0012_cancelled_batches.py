"""cancelled batches, and an index for free seeds."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("batches", sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_jobs_batch_id_seed", "jobs", ["batch_id", "seed"])


def downgrade() -> None:
    op.drop_index("ix_jobs_batch_id_seed", "jobs")
    op.drop_column("batches", "cancelled_at")
