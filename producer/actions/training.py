"""Asking for a training: what it learns from, and its place in the record and on the queue."""

import re
import shutil
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from models.figures.trainings import ExpectedTraining, expected_training
from models.records.batches import Acceptance
from models.records.database import Database
from models.records.trainings.trainings import KnownTraining, create_training, require_free_name
from models.records.trainings.validation import create_validation
from models.settings import Settings
from models.training.config import MAIN, TrainingConfig
from models.training.data_set import CheckedDataSet, check_data_set
from models.training.place import place_of
from models.training.trial import Trial
from models.training.validation import captions_to_show
from models.types.clock import now
from models.types.errors import BadInputError, BrokerError
from models.types.message import SegmentMessage
from producer.actions.enqueue import publish_jobs
from producer.actions.export import DataSet as ExportedSet
from producer.actions.export import export
from producer.actions.machine.checkpoints import hub_folder
from producer.actions.progress import Progress, unseen
from producer.exports.captions import Caption
from producer.local.probe import TRIAL, try_training
from worker.queue.app import make_app
from worker.queue.publishing import publish_segments
from worker.queue.traces import Traces

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: Share of prompts whose pictures are held out of a data set that is made of batches.
_HELD_OUT = 0.1
#: Pictures from which on progress is worth showing.
_LONG = 100


@dataclass(frozen=True)
class PlannedTraining:
    """What was asked for, as far as it was looked at."""

    name: str
    config: TrainingConfig
    folder: Path
    data: CheckedDataSet
    #: By this machine's own history.
    expected: ExpectedTraining

    @property
    def epochs(self) -> float:
        """How often each picture is learnt from."""
        return self.config.max_train_steps * self.config.pictures_a_step / self.data.pictures_a_pass


def plan_training(
    settings: Settings,
    database: Database,
    name: str,
    data: Sequence[str],
    config: TrainingConfig,
    progress: Progress = unseen,
) -> PlannedTraining:
    """Look at what a training is to learn from; of batches, a data set is made in the training's folder.

    Raises:
        BadInputError: with every problem of the name, which may be taken, the checkpoint's revision, and the pictures.
        NotFoundError: if there is no such folder and no such batch.
        StorageError: if the data set cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise BadInputError([f"{name!r}: use up to 64 letters, digits, dots, dashes and underscores"])
    if settings.pictures_url:
        what = "a training keeps its state in the data folder, and NIGHTSHIFT_PICTURES_URL names an object store"
        raise BadInputError([f"{what}: train where pictures lie in a folder, from one that `producer export` wrote"])
    if config.revision != MAIN:
        config = config.model_copy(update={"model_id": str(hub_folder(config.model_id, config.revision))})
    settings.require_allowed(config.model_id)
    with database.reading() as session:
        require_free_name(session, name)
    if config.report_to == "tensorboard" and find_spec("tensorboardX") is None:
        raise BadInputError(["report_to=tensorboard needs its library: pip install 'nightshift[tensorboard]'"])
    folder = _data_folder(settings, database, name, data, progress)
    with progress("looking at pictures", long=_LONG) as advance:
        checked = check_data_set(folder, advance)
    config = config.of_passes(checked.pictures_a_pass)
    if not config.validation_prompt:
        config = config.model_copy(update={"validation_prompt": captions_to_show(checked)})
    with database.reading() as session:
        expected = expected_training(session, config, socket.gethostname())
    return PlannedTraining(name, config, folder, checked, expected)


def _data_folder(settings: Settings, database: Database, name: str, data: Sequence[str], progress: Progress) -> Path:
    folders = [Path(one).expanduser() for one in data]
    if len(folders) == 1 and folders[0].is_dir():
        return folders[0].resolve()
    if (wrong := next((one for one in folders if one.exists()), None)) is not None:
        raise BadInputError([f"--data {wrong}: name one folder of pictures, or batches"])
    if (missing := next((one for one in data if "/" in one), None)) is not None:
        raise BadInputError([f"--data {missing}: there is no such folder"])
    folder = settings.data_dir / "trainings" / name / "data"
    # What was looked at before, when fewer pictures may have been there; no training learns from it.
    shutil.rmtree(folder, ignore_errors=True)
    wanted = ExportedSet(layout="imagefolder", caption=Caption("{prompt}"), test=_HELD_OUT)
    export(settings, database, data, folder, wanted, progress)
    return folder


def try_planned(planned: PlannedTraining, did: Callable[[str], None], program: str = TRIAL) -> Trial:
    """Return what some steps of a training measure that are taken on this machine's device now, and thrown away.

    `did` is told of each thing that is done.

    Raises:
        DeviceError: if there are none, with the reason: a worker has the device, or memory ran out.
    """
    return try_training(planned.config, planned.folder, did, program)


def start_training(
    settings: Settings,
    database: Database,
    planned: PlannedTraining,
    *,
    queue: str | None,
    priority: int,
    acceptance: Acceptance,
) -> KnownTraining:
    """Record a training with its first pictures, and put both on the queue.

    Raises:
        BadInputError: if the name is taken.
        BrokerError: what is not published stays in the database, and the message says how to go on.
        SettingsError: the libraries for traces are not installed.
    """
    config, begun = planned.config, now()
    # Before anything is recorded: its libraries may be missing.
    traces = Traces(settings.traces, "nightshift-producer") if settings.traces else None
    with database.writing() as session:
        training = create_training(
            session,
            planned.name,
            config.model_dump(mode="json"),
            data=str(planned.folder),
            place=place_of(settings.data_dir),
            pictures=len(planned.data.learnt),
            held_out=len(planned.data.held_out),
            steps=config.max_train_steps,
            priority=priority,
            queue=queue or settings.queue_names[0],
        )
        batch = create_validation(session, training.id, config, acceptance)
    if batch is not None:
        publish_jobs(settings, database, 0, batch.id)
    publish_training(settings, database, training.uid)
    if traces is not None:
        about = {"nightshift.training": training.name, "nightshift.queue": training.queue}
        traces.begin(SegmentMessage(training=training.id, uid=training.uid), "train", begun, now(), about)
        traces.close()
    return training


def publish_training(settings: Settings, database: Database, uid: str | None = None) -> int:
    """Put the next segment of a training, or of all, on the queue where it is not there, and return how many.

    Raises:
        BrokerError: as `publish_jobs` does.
    """
    try:
        return publish_segments(make_app(settings), database, uid)
    except BrokerError as error:
        raise BrokerError(
            f"{error}. Nothing is lost: the training is recorded, and `producer publish` puts it on the queue"
        ) from error
