"""The worker program composed of parts that come to `places` with what they do, and then do what the product's do."""

import os
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

from places import false, reach, set_clock_by_file
from sqlalchemy import event
from stand_in import device

from checks.examiner import Examiner, start_process
from models.pictures.opening import open_store
from models.pictures.store import PictureStore
from models.records.database import Database
from models.types.states import FINISHED
from worker.attempt.judging import Judge
from worker.attempt.log import tell
from worker.care.heartbeat import Heartbeat
from worker.care.sweep import Sweep
from worker.engine.devices.registry import BACKENDS
from worker.engine.engine import Engine
from worker.engine.loading import load_checkpoint
from worker.program import Program
from worker.queue.transport import Channel, QoS, Transport
from worker.segment.heartbeat import SegmentHeartbeat
from worker.segment.training import SegmentTrainer

#: Set while a job is made: the warm-up goes through the same code, and is none.
_at_job = threading.Event()


def reach_in_job(place):
    return reach(place) if _at_job.is_set() else None


def before(place, function):
    def reached(*args, **kwargs):
        reach(place)
        return function(*args, **kwargs)

    return reached


def falsified(place, returned, last):
    """Return the tensors that a device returned, the first of them as the place says that it left it."""
    tensor, *more = returned
    tensor = false(reach_in_job(place), tensor, last)
    last[:] = [tensor]
    return tensor, *more


def load(*args):
    reach("loading")
    loaded = load_checkpoint(*args)
    pipeline, vae = loaded.pipeline, loaded.pipeline.vae
    denoise, decode, images = type(pipeline).__call__, vae.decode, []

    def denoised(self, *args, **kwargs):
        return falsified("denoised", denoise(self, *args, **kwargs), [])

    # Python looks for it in the class alone.
    pipeline.__class__ = type("Pipeline", (type(pipeline),), {"__call__": denoised})
    vae.decode = lambda *args, **kwargs: falsified("decoding", decode(*args, **kwargs), images)
    return loaded


class FaultyEngine(Engine):
    def __init__(self, device, settings):
        super().__init__(device, settings, load)

    def use_loras(self, loras):
        reach("switching")
        return super().use_loras(loras)

    def make_together(self, specs, on_step):
        def step(number):
            reach("step")
            on_step[0](number)

        _at_job.set()
        try:
            reach("encoding")
            for spec in specs:
                reach(f"seed-{spec.seed}")
            return super().make_together(specs, [step, *on_step[1:]])
        finally:
            _at_job.clear()


class FaultyDatabase(Database):
    """Comes to places once a claim has begun an attempt, and before and after a job ends with its attempt."""

    @contextmanager
    def writing(self):
        with super().writing() as session:
            event.listen(session, "do_orm_execute", _come_to_places)
            yield session


def _come_to_places(execution):
    given = execution.parameters if isinstance(execution.parameters, dict) else {}
    table = execution.statement.table.name if execution.is_insert or execution.is_update else None
    ends = execution.is_update and table == "jobs" and given.get("state") in FINISHED
    if ends:
        execution.session.info["settles"] = True
        reach("settling")
    if execution.is_update and table == "segments":
        reach("segment-settling")
    result = execution.invoke_statement()
    if execution.is_insert and table == "attempts":
        reach("claiming")
    if execution.is_update and table == "segments":
        reach("segment-settled")
    if execution.is_update and table == "attempts" and execution.session.info.get("settles"):
        reach("settled")
    return result


class Around:
    """Something that has all that another has."""

    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)


class FaultyAside(Around):
    def write(self, content):
        reach("writing")
        self.inner.write(content)
        reach("written")

    def prepare(self, **options):
        reach("preparing")
        self.inner.prepare(**options)
        reach("prepared")

    @contextmanager
    def put_in_place(self, **options):
        reach("naming")
        with self.inner.put_in_place(**options):
            reach("named")
            yield


class FaultyStore(Around):
    def aside(self, name, attempt_id):
        return FaultyAside(self.inner.aside(name, attempt_id))

    def asides(self):
        return {number: FaultyAside(aside) for number, aside in self.inner.asides().items()}


class FaultyJudge(Judge):
    def judge(self, attempt):
        reach("judging")
        return super().judge(attempt)


class FaultyHeartbeat(Heartbeat):
    def beating(self):
        reach("beating")
        return super().beating()


class FaultySegmentTrainer(SegmentTrainer):
    def train(self, claim, heartbeat):
        reach("segment-begun")
        trained = super().train(claim, cast("SegmentHeartbeat", _FaultySegmentHeartbeat(heartbeat)))
        reach("segment-written")
        return trained

    def _session(self, *args):
        session = super()._session(*args)
        loss = session._trainer._loss
        session._trainer.__dict__["_loss"] = lambda *args: false(reach("loss"), loss(*args), [])
        return session

    def _save_lora(self, *args):
        reach("lora-saving")
        name = super()._save_lora(*args)
        reach("lora-saved")
        return name


class _FaultySegmentHeartbeat(Around):
    def advance(self):
        reach("training")
        self.inner.advance()


class FaultySweep(Sweep):
    def look(self):
        reach("sweeping")
        super().look()


class FaultyQoS(QoS):
    #: A link that became deaf stays so; the next one asks again.
    deaf = False

    def can_consume(self):
        self.deaf = self.deaf or bool(reach("listening"))
        return not self.deaf and super().can_consume()

    def strike(self, tags):
        reach("acknowledging")
        super().strike(tags)


class FaultyChannel(Channel):
    QoS = FaultyQoS


class FaultyTransport(Transport):
    Channel = FaultyChannel


def devices():
    return (device(reach, reach_in_job), *BACKENDS[1:]) if "STAND_IN" in os.environ else BACKENDS


class FaultyProgram(Program):
    parts = replace(
        Program.parts,
        devices=devices(),
        transport=FaultyTransport,
        database=FaultyDatabase,
        pictures=lambda settings: cast("PictureStore", FaultyStore(open_store(settings))),
        engine=FaultyEngine,
        examiner=lambda limit_s: Examiner(limit_s, before("examining", start_process)),
        judge=FaultyJudge,
        heartbeat=FaultyHeartbeat,
        tell=before("telling", tell),
        segment_trainer=FaultySegmentTrainer,
        sweep=FaultySweep,
    )


set_clock_by_file()
