"""how many pictures were made in the same call."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempts", sa.Column("pictures_a_call", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("attempts", "pictures_a_call")
