"""clocks."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


# Plain statements: SQLite's way of making a table anew would break the references to it.


def upgrade() -> None:
    op.add_column("jobs", sa.Column("queued_s", sa.Double(), nullable=True))
    op.add_column("jobs", sa.Column("queued_clock", sa.String(length=12), nullable=True))
    op.add_column("boots", sa.Column("clock", sa.String(length=12), nullable=True))
    op.add_column("boots", sa.Column("alive_s", sa.Double(), nullable=True))
    op.add_column("attempts", sa.Column("started_s", sa.Double(), nullable=True))
    op.add_column("attempts", sa.Column("finished_s", sa.Double(), nullable=True))
    op.add_column("guard_actions", sa.Column("taken_s", sa.Double(), nullable=True))
    _replace_queue_wait(nullable=True)


def downgrade() -> None:
    op.execute("UPDATE attempts SET queue_wait_s = 0 WHERE queue_wait_s IS NULL")
    _replace_queue_wait(nullable=False)
    op.drop_column("guard_actions", "taken_s")
    op.drop_column("attempts", "finished_s")
    op.drop_column("attempts", "started_s")
    op.drop_column("boots", "alive_s")
    op.drop_column("boots", "clock")
    op.drop_column("jobs", "queued_clock")
    op.drop_column("jobs", "queued_s")


def _replace_queue_wait(*, nullable: bool) -> None:
    """Let the column hold nothing, or forbid it, which SQLite has no statement for."""
    op.execute("ALTER TABLE attempts RENAME COLUMN queue_wait_s TO old_queue_wait_s")
    default = None if nullable else "0"
    op.add_column("attempts", sa.Column("queue_wait_s", sa.Double(), nullable=nullable, server_default=default))
    op.execute("UPDATE attempts SET queue_wait_s = old_queue_wait_s")
    op.drop_column("attempts", "old_queue_wait_s")
