"""trainings, and their segments."""

import sqlalchemy as sa
from alembic import op

from models.records.tables.columns import Json, UtcDateTime

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_UNFINISHED = sa.text("finished_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "trainings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("config", Json, nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("place", sa.String(32), nullable=False),
        sa.Column("pictures", sa.Integer(), nullable=False),
        sa.Column("held_out", sa.Integer(), nullable=False),
        sa.Column("validation_batch_id", sa.Integer(), nullable=True),
        sa.Column("queue", sa.String(64), nullable=False, server_default=sa.text("'jobs'")),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("state_file", sa.Text(), nullable=True),
        sa.Column("rate_share", sa.Double(), nullable=False),
        sa.Column("saves_memory", sa.Boolean(), nullable=False),
        sa.Column("segments", sa.Integer(), nullable=False),
        sa.Column("losses", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("not_before", UtcDateTime, nullable=True),
        sa.Column("published_at", UtcDateTime, nullable=True),
        sa.Column("boot_id", sa.Integer(), nullable=True),
        sa.Column("heartbeat_at", UtcDateTime, nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("finished_at", UtcDateTime, nullable=True),
        sa.Column("cause", sa.String(32), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["boot_id"], ["boots.id"], name=op.f("fk_trainings_boot_id_boots")),
        sa.ForeignKeyConstraint(
            ["validation_batch_id"], ["batches.id"], name=op.f("fk_trainings_validation_batch_id_batches")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trainings")),
        sa.UniqueConstraint("name", name=op.f("uq_trainings_name")),
        sa.UniqueConstraint("uid", name=op.f("uq_trainings_uid")),
    )
    op.create_index(
        "ix_trainings_unfinished", "trainings", ["state"], sqlite_where=_UNFINISHED, postgresql_where=_UNFINISHED
    )
    op.create_table(
        "segments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("training_id", sa.Integer(), nullable=False),
        sa.Column("boot_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("begun_step", sa.Integer(), nullable=False),
        sa.Column("ended_step", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("cause", sa.String(32), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("finished_at", UtcDateTime, nullable=True),
        sa.Column("ready_s", sa.Double(), nullable=True),
        sa.Column("step_s", sa.Double(), nullable=True),
        sa.Column("pictures_a_step", sa.Integer(), nullable=True),
        sa.Column("lora", sa.Text(), nullable=True),
        sa.Column("save_s", sa.Double(), nullable=True),
        sa.Column("loss", sa.Double(), nullable=True),
        sa.Column("held_out_loss", sa.Double(), nullable=True),
        sa.Column("learning_rate", sa.Double(), nullable=True),
        sa.Column("rss_peak_bytes", sa.BigInteger(), nullable=True),
        sa.Column("device_allocated_peak_bytes", sa.BigInteger(), nullable=True),
        sa.Column("device_driver_peak_bytes", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["boot_id"], ["boots.id"], name=op.f("fk_segments_boot_id_boots")),
        sa.ForeignKeyConstraint(["training_id"], ["trainings.id"], name=op.f("fk_segments_training_id_trainings")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segments")),
        sa.UniqueConstraint("training_id", "number", name=op.f("uq_segments_training_id_number")),
    )
    op.create_index(op.f("ix_segments_boot_id"), "segments", ["boot_id"])


def downgrade() -> None:
    op.drop_table("segments")
    op.drop_table("trainings")
