"""the LoRAs that jobs ask for, and those that pictures were made with."""

import sqlalchemy as sa
from alembic import op

from models.records.tables.columns import Json

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("lora", sa.Text(), nullable=False, server_default=sa.text("''")))
    op.add_column("attempts", sa.Column("loras", Json, nullable=True))
    op.add_column("attempts", sa.Column("switch_s", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("attempts", "switch_s")
    op.drop_column("attempts", "loras")
    op.drop_column("jobs", "lora")
