"""sleep and memory pressure."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempts", sa.Column("slept_s", sa.Double(), nullable=True))
    op.add_column("attempts", sa.Column("memory_pressure", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("attempts", "memory_pressure")
    op.drop_column("attempts", "slept_s")
