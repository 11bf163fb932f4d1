"""acceptance."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("batches", sa.Column("target", sa.Integer(), nullable=True))
    op.add_column("batches", sa.Column("replacements", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("replaces", sa.Integer(), nullable=True))
    op.add_column("jobs", sa.Column("replacement", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("accepted_by_person", sa.Boolean(), nullable=True))
    # An index and no constraint, which SQLite cannot add to a table that is there.
    op.create_index("ix_jobs_replaces", "jobs", ["replaces"], unique=True)
    op.create_table(
        "likenesses",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_likenesses_job_id_jobs"),
        sa.PrimaryKeyConstraint("id", name="pk_likenesses"),
        sa.UniqueConstraint("job_id", name="uq_likenesses_job_id"),
    )


def downgrade() -> None:
    op.drop_table("likenesses")
    op.drop_index("ix_jobs_replaces", "jobs")
    op.drop_column("jobs", "accepted_by_person")
    op.drop_column("jobs", "replacement")
    op.drop_column("jobs", "replaces")
    op.drop_column("batches", "replacements")
    op.drop_column("batches", "target")
