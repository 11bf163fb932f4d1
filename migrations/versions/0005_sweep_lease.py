"""sweep lease."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sweep_lease",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("boot_id", sa.Integer(), nullable=False),
        sa.Column("renewed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["boot_id"], ["boots.id"], name=op.f("fk_sweep_lease_boot_id_boots")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sweep_lease")),
    )


def downgrade() -> None:
    op.drop_table("sweep_lease")
