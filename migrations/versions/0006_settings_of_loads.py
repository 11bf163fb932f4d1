"""settings of loads."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("loads", sa.Column("attention_slicing", sa.Boolean(), nullable=True))
    op.add_column("attempts", sa.Column("made_again", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute("ALTER TABLE attempts RENAME COLUMN check_s TO validate_s")


def downgrade() -> None:
    op.execute("ALTER TABLE attempts RENAME COLUMN validate_s TO check_s")
    op.drop_column("attempts", "made_again")
    op.drop_column("loads", "attention_slicing")
