"""the preset of a job."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("preset", sa.String(64), nullable=False, server_default="exact"))


def downgrade() -> None:
    op.drop_column("jobs", "preset")
