"""quarantine."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


# Plain statements: SQLite's way of making a table anew would break the references to it.


def upgrade() -> None:
    op.add_column("boots", sa.Column("lock_uid", sa.String(length=32), nullable=True))
    op.add_column("jobs", sa.Column("losses", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("jobs", "losses")
    op.drop_column("boots", "lock_uid")
