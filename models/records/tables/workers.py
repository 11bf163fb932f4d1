"""What works on it: boots, their loads and attempts, and what they do beside those."""

from typing import Any

from sqlalchemy import (
    ForeignKey,
    Index,
    String,
    false,
)
from sqlalchemy.orm import Mapped, mapped_column

from models.records.tables.columns import (
    Base,
    Bytes,
    ClockName,
    Json,
    Key,
    LongText,
    LongTextOrNone,
    Moment,
    MomentOrNone,
    Word,
    WordOrNone,
)
from models.types.states import Outcome


class Boot(Base):
    """One life of a worker process."""

    __tablename__ = "boots"

    id: Mapped[Key]
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    #: The lock under which the boot had its device: whoever holds it next speaks for this boot.
    #: None in rows of a version that did not name it.
    lock_uid: Mapped[str | None] = mapped_column(String(32))
    #: What the settings named: mps, cuda, cuda:1, cpu.
    device: Mapped[Word]
    #: The driver's or system's name of it.
    device_name: Mapped[LongText]
    chip: Mapped[LongText]
    threads: Mapped[int]
    dtype: Mapped[Word]
    memory_total_bytes: Mapped[Bytes]
    #: Those that it takes jobs from; None in rows of a version that had one.
    queues: Mapped[list[str] | None] = mapped_column(Json)
    #: Of Python, the operating system and the libraries that make pictures.
    versions: Mapped[dict[str, str]] = mapped_column(Json)
    #: Which call each memory figure of this boot's rows comes from.
    memory_sources: Mapped[dict[str, str]] = mapped_column(Json)
    #: The clock that readings in this boot's rows are of.
    clock: Mapped[ClockName]
    started_at: Mapped[Moment]
    #: When the first job could be taken.
    ready_at: Mapped[MomentOrNone]
    ended_at: Mapped[MomentOrNone]
    #: Its last sign of life, given with or without a job once it is ready, and the same moment on `clock`.
    alive_at: Mapped[MomentOrNone]
    alive_s: Mapped[float | None]
    #: What it waits for at the moment, such as room on the disk, and what to do; None while it works.
    waiting_for: Mapped[LongTextOrNone]
    #: Highest resident memory of the process by the operating system's own accounting.
    rss_lifetime_peak_bytes: Mapped[Bytes]


class SweepLease(Base):
    """The boot that looks after the queue for all workers; one row at most."""

    __tablename__ = "sweep_lease"

    id: Mapped[Key]
    boot_id: Mapped[int] = mapped_column(ForeignKey("boots.id"))
    renewed_at: Mapped[Moment]


class GuardAction(Base):
    """What the memory guard did between two jobs of a boot, and what it cost."""

    __tablename__ = "guard_actions"

    id: Mapped[Key]
    boot_id: Mapped[int] = mapped_column(ForeignKey("boots.id"), index=True)
    taken_at: Mapped[Moment]
    taken_s: Mapped[float | None]
    #: One of `models.types.states.GuardStep`.
    step: Mapped[str] = mapped_column(String(16))
    #: Memory as the guard counts it, and where it acts.
    held_before_bytes: Mapped[Bytes]
    held_after_bytes: Mapped[Bytes]
    limit_bytes: Mapped[Bytes]
    #: How long the device did nothing else; for a restart known once the next boot under the same lock is ready.
    cost_s: Mapped[float | None]


class Load(Base):
    """Bringing one checkpoint's weights to the device, and the warm-up that follows."""

    __tablename__ = "loads"

    id: Mapped[Key]
    boot_id: Mapped[int] = mapped_column(ForeignKey("boots.id"), index=True)
    checkpoint: Mapped[LongText]
    #: Commit of a hub repository, or sha256 of local files.
    revision: Mapped[LongText]
    #: What was set of how the device works, by name: {"attention_slicing": false}; see `models.types.identity.Knobs`.
    #: None in rows of a version that did not say.
    tuning: Mapped[dict[str, Any] | None] = mapped_column(Json)
    loaded_at: Mapped[Moment]
    load_s: Mapped[float]
    warmup_s: Mapped[float]
    warmup_steps: Mapped[int]
    rss_before_bytes: Mapped[Bytes]
    rss_after_bytes: Mapped[Bytes]
    device_allocated_before_bytes: Mapped[Bytes]
    device_allocated_after_bytes: Mapped[Bytes]
    device_driver_before_bytes: Mapped[Bytes]
    device_driver_after_bytes: Mapped[Bytes]
    available_before_bytes: Mapped[Bytes]
    available_after_bytes: Mapped[Bytes]


class Attempt(Base):
    """One execution of a job and everything that was measured in it."""

    __tablename__ = "attempts"
    __table_args__ = (
        # Percentiles read one entry of these, in order, instead of sorting a million rows.
        Index("ix_attempts_batch_id_outcome_cold_total_s", "batch_id", "outcome", "cold", "total_s"),
        Index("ix_attempts_outcome_cold_total_s", "outcome", "cold", "total_s"),
        Index("ix_attempts_load_id_outcome_cold", "load_id", "outcome", "cold"),
        Index("ix_attempts_batch_id_load_id_outcome_cold", "batch_id", "load_id", "outcome", "cold"),
    )

    id: Mapped[Key]
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"), index=True)
    #: The job's batch again: the report filters a million attempts by it.
    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id"))
    boot_id: Mapped[int] = mapped_column(ForeignKey("boots.id"), index=True)
    load_id: Mapped[int | None] = mapped_column(ForeignKey("loads.id"))
    #: 1 for the job's first attempt.
    number: Mapped[int]
    outcome: Mapped[str] = mapped_column(String(16), default=Outcome.RUNNING)
    cause: Mapped[str | None] = mapped_column(String(32))
    error: Mapped[LongTextOrNone]
    started_at: Mapped[Moment]
    finished_at: Mapped[MomentOrNone]
    #: The same two moments on the boot's clock; no finish where another boot noted that it was lost.
    started_s: Mapped[float | None]
    finished_s: Mapped[float | None]
    first_of_boot: Mapped[bool] = mapped_column(default=False)
    #: Not steady state: the first generation of its size since the load, warm-up counted, or one made again.
    cold: Mapped[bool] = mapped_column(default=False)
    #: NULL where the clock was set in between and no other was there to tell.
    queue_wait_s: Mapped[float | None]
    #: From the end of the boot's attempt before to this delivery; NULL where the job was not waiting then.
    gap_s: Mapped[float | None]
    #: For how long the machine slept since the boot's picture before; no part of any other duration of the attempt.
    slept_s: Mapped[float | None]
    encode_s: Mapped[float | None]
    denoise_s: Mapped[float | None]
    decode_s: Mapped[float | None]
    validate_s: Mapped[float | None]
    save_s: Mapped[float | None]
    total_s: Mapped[float | None]
    steps_per_s: Mapped[float | None]
    #: Pictures made in the same call, this one counted; gap, sleep and the parts beside the device's are shares of it.
    pictures_a_call: Mapped[int | None]
    #: The form in which the denoiser worked.
    form: Mapped[WordOrNone]
    #: [{"name": "olive", "scale": 0.8, "sha256": "…"}]
    loras: Mapped[list[dict[str, Any]] | None] = mapped_column(Json)
    #: What it took before this picture to have other LoRAs in use, or none.
    switch_s: Mapped[float | None]
    #: Made by a second try: memory ran out, or it was not finite.
    made_again: Mapped[bool] = mapped_column(default=False, server_default=false())
    #: Decoded a second time in float32 after NaN or infinity.
    decoded_again: Mapped[bool] = mapped_column(default=False)
    prompt_tokens: Mapped[int | None]
    #: The end of the prompt that the text encoder does not see.
    prompt_cut: Mapped[LongTextOrNone]
    picture_bytes: Mapped[Bytes]
    rss_before_bytes: Mapped[Bytes]
    rss_peak_bytes: Mapped[Bytes]
    rss_after_bytes: Mapped[Bytes]
    device_allocated_before_bytes: Mapped[Bytes]
    device_allocated_peak_bytes: Mapped[Bytes]
    device_allocated_after_bytes: Mapped[Bytes]
    device_driver_before_bytes: Mapped[Bytes]
    device_driver_peak_bytes: Mapped[Bytes]
    device_driver_after_bytes: Mapped[Bytes]
    available_before_bytes: Mapped[Bytes]
    available_lowest_bytes: Mapped[Bytes]
    available_after_bytes: Mapped[Bytes]
    #: macOS's own word on the machine's memory: 1 at ease, 2 warned of, 4 critical; NULL elsewhere.
    memory_pressure: Mapped[int | None]
    swap_before_bytes: Mapped[Bytes]
    swap_peak_bytes: Mapped[Bytes]
    swap_after_bytes: Mapped[Bytes]
