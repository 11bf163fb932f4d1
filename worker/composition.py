"""What a worker is made of, as far as it deals with what is outside of it: device, database, disk, Redis, processes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from checks.examiner import Examiner
from models.claims import Claim
from models.database import Database
from models.picture_store import PictureStore
from models.settings import Settings
from worker.attempt import Attempt
from worker.attempt_log import tell
from worker.devices.device import Device
from worker.devices.registry import BACKENDS
from worker.engine import Engine
from worker.heartbeat import Heartbeat
from worker.judging import Judge
from worker.patience import Patience
from worker.shutdown import Shutdown
from worker.sweep import Sweep
from worker.transport import Transport


@dataclass(frozen=True)
class Parts:
    """The makers of those parts; each is called as the class is that stands there, once a boot unless it says more."""

    devices: Sequence[type[Device]] = BACKENDS
    transport: type[Transport] = Transport
    database: Callable[[str, float], Database] = Database
    pictures: Callable[[Path], PictureStore] = PictureStore
    engine: Callable[[Device, Settings], Engine] = Engine
    examiner: Callable[[float], Examiner] = Examiner
    judge: Callable[[Database, Patience, Examiner], Judge] = Judge
    #: Once an attempt.
    heartbeat: Callable[[Database, Claim, Settings, Shutdown, Patience, float | None], Heartbeat] = Heartbeat
    #: Once an attempt, when all else is done.
    tell: Callable[[Attempt], Attempt] = tell
    sweep: type[Sweep] = Sweep
