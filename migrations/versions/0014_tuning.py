"""the tuning of loads, as one column."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("loads", sa.Column("tuning", sa.JSON(), nullable=True))
    op.execute("""UPDATE loads SET tuning = '{"attention_slicing": true}' WHERE attention_slicing = true""")
    op.execute("""UPDATE loads SET tuning = '{"attention_slicing": false}' WHERE attention_slicing = false""")
    op.drop_column("loads", "attention_slicing")


def downgrade() -> None:
    op.add_column("loads", sa.Column("attention_slicing", sa.Boolean(), nullable=True))
    op.execute("""UPDATE loads SET attention_slicing = true WHERE CAST(tuning AS TEXT) LIKE '%slicing": true%'""")
    op.execute("""UPDATE loads SET attention_slicing = false WHERE CAST(tuning AS TEXT) LIKE '%slicing": false%'""")
    op.drop_column("loads", "tuning")
