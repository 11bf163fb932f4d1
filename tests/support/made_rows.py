"""Batches whose pictures are there without a worker having made them: rows and files of known content."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from installation import Installation
from PIL import Image
from sqlalchemy import insert, select

from models.pictures.names import picture_name
from models.records.batches import PlannedJob, create_batch
from models.records.judging.acceptance import record_verdicts
from models.records.tables import Attempt, Boot, Job, Load
from models.types.finding import Finding
from models.types.job import JobSpec
from models.types.states import JobState, Outcome

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SPEC = JobSpec(
    prompt="a shoe", seed=1, steps=20, guidance=7.5, width=64, height=64, scheduler="PNDM", checkpoint="demo"
)


@dataclass(frozen=True)
class Made:
    """A picture of one colour."""

    prompt: str = "a red shoe"
    seed: int = 1
    attributes: Mapping[str, str] = field(default_factory=dict)
    #: Checks that are against it; it is accepted where there is none.
    against: Sequence[str] = ()
    total_s: float = 1.0
    rgb: tuple[int, int, int] = (200, 30, 30)
    checkpoint: str = "demo"


def write_batch(installation: Installation, name: str, pictures: Sequence[Made], *, files: bool = True) -> list[int]:
    """Write a batch of which all pictures are made, one after another from `START` on; return its jobs' numbers."""
    planned = [
        PlannedJob(
            SPEC.model_copy(update={"prompt": made.prompt, "seed": made.seed, "checkpoint": made.checkpoint}),
            attributes=made.attributes,
        )
        for made in pictures
    ]
    with installation.database.writing() as session:
        boot = Boot(
            host="here",
            pid=1,
            device="cpu",
            device_name="a processor",
            chip="a processor",
            threads=2,
            dtype="float32",
            versions={},
            memory_sources={"rss": "psutil rss"},
            started_at=START - timedelta(seconds=10),
        )
        session.add(boot)
        session.flush()
        load = Load(
            boot_id=boot.id,
            checkpoint="demo",
            revision="r1",
            tuning={"attention_slicing": False},
            loaded_at=START,
            load_s=5.0,
            warmup_s=2.0,
            warmup_steps=2,
        )
        session.add(load)
        session.flush()
        batch = create_batch(session, name, "test", planned, priority=5, digest=name)
        rows = session.scalars(select(Job).where(Job.batch_id == batch.id).order_by(Job.id)).all()
        moment = START
        attempts = []
        for row, made in zip(rows, pictures, strict=True):
            begin, moment = moment, moment + timedelta(seconds=made.total_s)
            row.state = JobState.REJECTED if made.against else JobState.SUCCEEDED
            row.picture = picture_name(batch.id, row.id, rejected=bool(made.against))
            row.finished_at = moment
            attempts.append(
                {
                    "job_id": row.id,
                    "batch_id": batch.id,
                    "boot_id": boot.id,
                    "load_id": load.id,
                    "number": 1,
                    "outcome": Outcome.SUCCEEDED,
                    "started_at": begin,
                    "finished_at": moment,
                    "queue_wait_s": 2.0,
                    "denoise_s": 0.9 * made.total_s,
                    "decode_s": 0.1 * made.total_s,
                    "total_s": made.total_s,
                    "rss_peak_bytes": 1_000_000_000,
                }
            )
        session.execute(insert(Attempt), attempts)
        found = {
            row.id: [Finding(check, 0.1, passed=False, sentence=f"{check} is wrong") for check in made.against]
            or [Finding("colour", 0.9, passed=True, sentence="90% of it is red")]
            for row, made in zip(rows, pictures, strict=True)
        }
        record_verdicts(session, found)
        places = [(row.picture, made.rgb) for row, made in zip(rows, pictures, strict=True)]
        numbers = [row.id for row in rows]
    for place, rgb in places if files else ():
        file = installation.data_dir / place
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 64), rgb).save(file)
    return numbers
