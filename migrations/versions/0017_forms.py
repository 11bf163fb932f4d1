"""the form in which the denoiser worked."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempts", sa.Column("form", sa.String(64), nullable=True))


def downgrade() -> None:
    op.drop_column("attempts", "form")
