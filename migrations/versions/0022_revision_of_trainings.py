"""revision of trainings: the weights that a training began with."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("trainings", sa.Column("revision", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("trainings", "revision")
