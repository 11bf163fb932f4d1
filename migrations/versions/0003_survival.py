"""survival."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


# Plain statements: SQLite's way of making a table anew would break the references to it.


def upgrade() -> None:
    op.add_column("boots", sa.Column("alive_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("boots", sa.Column("waiting_for", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("failures", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("not_before", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "pauses",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resumed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pauses")),
    )
    op.create_table(
        "guard_actions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("boot_id", sa.Integer(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("held_before_bytes", sa.BigInteger(), nullable=True),
        sa.Column("held_after_bytes", sa.BigInteger(), nullable=True),
        sa.Column("limit_bytes", sa.BigInteger(), nullable=True),
        sa.Column("cost_s", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["boot_id"], ["boots.id"], name=op.f("fk_guard_actions_boot_id_boots")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guard_actions")),
    )
    op.create_index(op.f("ix_guard_actions_boot_id"), "guard_actions", ["boot_id"])


def downgrade() -> None:
    op.drop_table("guard_actions")
    op.drop_table("pauses")
    op.drop_column("jobs", "not_before")
    op.drop_column("jobs", "failures")
    op.drop_column("boots", "waiting_for")
    op.drop_column("boots", "alive_at")
