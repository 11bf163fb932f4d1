"""What a worker is made of, as far as it deals with what is outside of it: device, database, disk, Redis, processes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from checks.examiner import Examiner
from models.pictures.opening import open_store
from models.pictures.store import PictureStore
from models.records.claims import Claim
from models.records.database import Database
from models.settings import Settings
from worker.attempt.attempt import Attempt
from worker.attempt.judging import Judge
from worker.attempt.log import tell
from worker.care.heartbeat import Heartbeat
from worker.care.retrying import Retrier
from worker.care.sweep import Sweep
from worker.engine.devices.device import Device
from worker.engine.devices.registry import BACKENDS
from worker.engine.engine import Engine
from worker.queue.transport import Transport
from worker.segment.training import SegmentTrainer
from worker.shutdown import Shutdown


@dataclass(frozen=True)
class Parts:
    """The makers of those parts; each is called as the class is that stands there, once a boot unless it says more."""

    devices: Sequence[type[Device]] = BACKENDS
    transport: type[Transport] = Transport
    database: Callable[[str, float], Database] = Database
    pictures: Callable[[Settings], PictureStore] = open_store
    engine: Callable[[Device, Settings], Engine] = Engine
    examiner: Callable[[float], Examiner] = Examiner
    judge: Callable[[Database, Retrier, Examiner], Judge] = Judge
    #: Once a call.
    heartbeat: Callable[[Database, Sequence[Claim], Settings, Shutdown, Retrier, float | None], Heartbeat] = Heartbeat
    #: Once an attempt, when all else is done.
    tell: Callable[[Attempt], Attempt] = tell
    segment_trainer: type[SegmentTrainer] = SegmentTrainer
    sweep: type[Sweep] = Sweep
