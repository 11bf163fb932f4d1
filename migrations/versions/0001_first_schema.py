"""first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
        sa.UniqueConstraint("name", name=op.f("uq_batches_name")),
        sa.UniqueConstraint("uid", name=op.f("uq_batches_uid")),
    )
    with op.batch_alter_table("batches", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_batches_fingerprint"), ["fingerprint"], unique=False)

    op.create_table(
        "boots",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("device_name", sa.Text(), nullable=False),
        sa.Column("chip", sa.Text(), nullable=False),
        sa.Column("threads", sa.Integer(), nullable=False),
        sa.Column("dtype", sa.String(length=64), nullable=False),
        sa.Column("memory_total_bytes", sa.BigInteger(), nullable=True),
        sa.Column("versions", sa.JSON(), nullable=False),
        sa.Column("memory_sources", sa.JSON(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ready_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rss_lifetime_peak_bytes", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_boots")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("batch_id", sa.Integer(), nullable=False),
        sa.Column("source_line", sa.Integer(), nullable=True),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("negative_prompt", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("guidance", sa.Double(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("scheduler", sa.String(length=64), nullable=False),
        sa.Column("checkpoint", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("boot_id", sa.Integer(), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cause", sa.String(length=32), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("picture", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_jobs_batch_id_batches")),
        sa.ForeignKeyConstraint(["boot_id"], ["boots.id"], name=op.f("fk_jobs_boot_id_boots")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index("ix_jobs_batch_id_state", ["batch_id", "state"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_boot_id"), ["boot_id"], unique=False)
        batch_op.create_index("ix_jobs_state_published_at", ["state", "published_at"], unique=False)

    op.create_table(
        "loads",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("boot_id", sa.Integer(), nullable=False),
        sa.Column("checkpoint", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("load_s", sa.Double(), nullable=False),
        sa.Column("warmup_s", sa.Double(), nullable=False),
        sa.Column("warmup_steps", sa.Integer(), nullable=False),
        sa.Column("rss_before_bytes", sa.BigInteger(), nullable=True),
        sa.Column("rss_after_bytes", sa.BigInteger(), nullable=True),
        sa.Column("device_allocated_before_bytes", sa.BigInteger(), nullable=True),
        sa.Column("device_allocated_after_bytes", sa.BigInteger(), nullable=True),
        sa.Column("device_driver_before_bytes", sa.BigInteger(), nullable=True),
        sa.Column("device_driver_after_bytes", sa.BigInteger(), nullable=True),
        sa.Column("available_before_bytes", sa.BigInteger(), nullable=True),
        sa.Column("available_after_bytes", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["boot_id"], ["boots.id"], name=op.f("fk_loads_boot_id_boots")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loads")),
    )
    with op.batch_alter_table("loads", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_loads_boot_id"), ["boot_id"], unique=False)

    op.create_table(
        "attempts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("batch_id", sa.Integer(), nullable=False),
        sa.Column("boot_id", sa.Integer(), nullable=False),
        sa.Column("load_id", sa.Integer(), nullable=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("cause", sa.String(length=32), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_of_boot", sa.Boolean(), nullable=False),
        sa.Column("cold", sa.Boolean(), nullable=False),
        sa.Column("queue_wait_s", sa.Double(), nullable=False),
        sa.Column("gap_s", sa.Double(), nullable=True),
        sa.Column("encode_s", sa.Double(), nullable=True),
        sa.Column("denoise_s", sa.Double(), nullable=True),
        sa.Column("decode_s", sa.Double(), nullable=True),
        sa.Column("check_s", sa.Double(), nullable=True),
        sa.Column("save_s", sa.Double(), nullable=True),
        sa.Column("total_s", sa.Double(), nullable=True),
        sa.Column("steps_per_s", sa.Double(), nullable=True),
        sa.Column("decoded_again", sa.Boolean(), nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=True),
        sa.Column("prompt_cut", sa.Text(), nullable=True),
        sa.Column("picture_bytes", sa.BigInteger(), nullable=True),
        sa.Column("rss_before_bytes", sa.BigInteger(), nullable=True),
        sa.Column("rss_peak_bytes", sa.BigInteger(), nullable=True),
        sa.Column("rss_after_bytes", sa.BigInteger(), nullable=True),
        sa.Column("device_allocated_before_bytes", sa.BigInteger(), nullable=True),
        sa.Column("device_allocated_peak_bytes", sa.BigInteger(), nullable=True),
        sa.Column("device_allocated_after_bytes", sa.BigInteger(), nullable=True),
        sa.Column("device_driver_before_bytes", sa.BigInteger(), nullable=True),
        sa.Column("device_driver_peak_bytes", sa.BigInteger(), nullable=True),
        sa.Column("device_driver_after_bytes", sa.BigInteger(), nullable=True),
        sa.Column("available_before_bytes", sa.BigInteger(), nullable=True),
        sa.Column("available_lowest_bytes", sa.BigInteger(), nullable=True),
        sa.Column("available_after_bytes", sa.BigInteger(), nullable=True),
        sa.Column("swap_before_bytes", sa.BigInteger(), nullable=True),
        sa.Column("swap_peak_bytes", sa.BigInteger(), nullable=True),
        sa.Column("swap_after_bytes", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_attempts_batch_id_batches")),
        sa.ForeignKeyConstraint(["boot_id"], ["boots.id"], name=op.f("fk_attempts_boot_id_boots")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_attempts_job_id_jobs")),
        sa.ForeignKeyConstraint(["load_id"], ["loads.id"], name=op.f("fk_attempts_load_id_loads")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
    )
    with op.batch_alter_table("attempts", schema=None) as batch_op:
        batch_op.create_index(
            "ix_attempts_batch_id_outcome_cold_total_s",
            ["batch_id", "outcome", "cold", "total_s"],
            unique=False,
        )
        batch_op.create_index(
            "ix_attempts_batch_id_load_id_outcome_cold", ["batch_id", "load_id", "outcome", "cold"], unique=False
        )
        batch_op.create_index("ix_attempts_load_id_outcome_cold", ["load_id", "outcome", "cold"], unique=False)
        batch_op.create_index(batch_op.f("ix_attempts_boot_id"), ["boot_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_attempts_job_id"), ["job_id"], unique=False)
        batch_op.create_index("ix_attempts_outcome_cold_total_s", ["outcome", "cold", "total_s"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("attempts", schema=None) as batch_op:
        batch_op.drop_index("ix_attempts_outcome_cold_total_s")
        batch_op.drop_index("ix_attempts_load_id_outcome_cold")
        batch_op.drop_index("ix_attempts_batch_id_load_id_outcome_cold")
        batch_op.drop_index(batch_op.f("ix_attempts_job_id"))
        batch_op.drop_index(batch_op.f("ix_attempts_boot_id"))
        batch_op.drop_index("ix_attempts_batch_id_outcome_cold_total_s")

    op.drop_table("attempts")
    with op.batch_alter_table("loads", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_loads_boot_id"))

    op.drop_table("loads")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index("ix_jobs_state_published_at")
        batch_op.drop_index(batch_op.f("ix_jobs_boot_id"))
        batch_op.drop_index("ix_jobs_batch_id_state")

    op.drop_table("jobs")
    op.drop_table("boots")
    with op.batch_alter_table("batches", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_batches_fingerprint"))

    op.drop_table("batches")
