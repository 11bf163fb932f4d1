"""The memory guard over a real engine. The driver's counter is stood in for: the CPU has none."""

import shutil
import weakref

import psutil
import pytest
import torch
from sqlalchemy import select

from models.checkpoints import DEMO_FOLDER
from models.figures.memory_trend import SETTLING_JOBS
from models.records.boots import Machine, record_boot
from models.records.database import Database
from models.records.tables import GuardAction, Load
from models.types.identity import Weights
from models.types.measurement import MemoryReading
from models.types.states import GuardStep
from worker.attempt.making import Loads
from worker.care import memory_guard
from worker.care.memory_guard import MemoryGuard
from worker.engine.devices.cpu import Cpu
from worker.engine.engine import Engine
from worker.engine.memory import read_memory

GB = 10**9
#: Far above what the process really has, so that only the driver's counter decides.
NEEDED, LIMIT = 500 * GB, 600 * GB


class Block:
    """Memory that the driver holds as long as something refers to it."""

    def __init__(self, size):
        self.size = size
        self.itself: object = None
        LIVE.add(self)


LIVE: weakref.WeakSet[Block] = weakref.WeakSet()


class DriverDevice(Cpu):
    """The CPU with a driver that holds blocks, some of them in a cache."""

    cache: list[Block] = []  # noqa: RUF012 - the dataclass is frozen

    def driver_bytes(self):
        return sum(block.size for block in LIVE)

    def empty_cache(self):
        self.cache.clear()


@pytest.fixture
def device():
    made = DriverDevice("cpu", torch.float32)
    needed = Block(NEEDED)
    yield made
    made.cache.clear()
    del needed


@pytest.fixture
def database(tmp_path, settings):
    made = Database(settings(data_dir=tmp_path).database)
    yield made
    made.close()


@pytest.fixture
def loads(database):
    with database.writing() as session:
        boot_id = record_boot(session, Machine("here", 1, "lock", "cpu", "cpu", "cpu", 1, "float32", None, {}, {}))
    return Loads(database, boot_id, lambda action: action())


@pytest.fixture
def engine(device, loads, settings, tmp_path):
    """An engine with the demo loaded, and that recorded."""
    made = Engine(device, settings(device="cpu", data_dir=tmp_path, checkpoint_folders=str(tmp_path)))
    loads.number_of(made.use(Weights("demo")))
    return made


@pytest.fixture
def new_guard(engine, loads, database, settings):
    def make(*, needed=NEEDED, **values):
        """Return a guard whose first jobs have come to `needed`."""
        guard = MemoryGuard(engine, loads.number_of, database, settings(**{"memory_limit_gb": LIMIT / GB} | values), 1)
        for share in (0.6, 0.8, 1, *[0.5] * (SETTLING_JOBS - 3)):
            assert guard.after_job(MemoryReading(rss=GB, device_driver=int(share * needed))) is None
        return guard

    return make


@pytest.fixture
def guard(new_guard):
    return new_guard()


@pytest.fixture
def after_job(guard, device):
    """Return what tells the guard of a job that has just ended, with memory as it is."""
    return lambda: guard.after_job(read_memory(device))


@pytest.mark.parametrize(("recommended", "limit"), [(None, 0.75), (0.5, 0.5), (0.9, 0.75)])
def test_the_usual_limit_is_the_machines_or_metals(engine, loads, database, settings, monkeypatch, recommended, limit):
    total = psutil.virtual_memory().total
    said = None if recommended is None else round(recommended * total)
    monkeypatch.setattr(DriverDevice, "recommended_bytes", lambda _device: said)
    guard = MemoryGuard(engine, loads.number_of, database, settings(memory_limit_gb=0), 1)
    assert guard._limit == round(limit * total)


def test_memory_of_the_devices_own_is_not_the_machines(new_guard, monkeypatch):
    monkeypatch.setattr(DriverDevice, "shares_memory", False)
    guard = new_guard()
    assert guard.after_job(MemoryReading(rss=GB, device_driver=2 * LIMIT)) is None


def rows(database, table=GuardAction):
    with database.reading() as session:
        return list(session.scalars(select(table).order_by(table.id)))


def in_pipeline(engine, block):
    engine._current.loaded.pipeline.leaked = block


def test_below_the_limit_nothing_is_done(after_job, device, database):
    device.cache.append(Block(LIMIT - NEEDED))
    assert after_job() is None
    assert device.cache
    assert rows(database) == []


def test_caches_are_emptied_first_and_that_may_be_enough(after_job, device, database, caplog):
    device.cache.append(Block(LIMIT - NEEDED + 1))
    assert after_job() is GuardStep.EMPTY_CACHES
    (row,) = rows(database)
    assert (row.boot_id, row.step, row.limit_bytes) == (1, GuardStep.EMPTY_CACHES, LIMIT)
    assert (row.held_before_bytes, row.held_after_bytes) == (LIMIT + 1, NEEDED)
    assert row.cost_s > 0
    assert len(rows(database, Load)) == 1
    assert "600.00 GB held, more than 600.00 GB: emptied caches in " in caplog.text
    assert " s, now 500.00 GB" in caplog.text


def test_what_only_the_collector_finds_is_given_back_too(after_job, device):
    loop = Block(200 * GB)
    # It goes to the cache when it is collected, as a tensor's memory does.
    weakref.finalize(loop, device.cache.append, Block(100 * GB))
    loop.itself = loop
    del loop
    assert after_job() is GuardStep.EMPTY_CACHES
    assert device.driver_bytes() == NEEDED


def test_the_checkpoint_is_loaded_anew_where_that_was_not_enough(after_job, engine, database, caplog):
    in_pipeline(engine, Block(200 * GB))
    assert after_job() is GuardStep.RELOAD
    caches, reload = rows(database)
    assert (caches.step, reload.step) == (GuardStep.EMPTY_CACHES, GuardStep.RELOAD)
    assert caches.held_after_bytes == reload.held_before_bytes == NEEDED + 200 * GB
    assert reload.held_after_bytes == NEEDED
    first, second = rows(database, Load)
    assert (second.checkpoint, second.boot_id) == (first.checkpoint, 1)
    assert reload.cost_s > second.load_s + second.warmup_s > 0
    assert "loaded the checkpoint anew in " in caplog.text


def test_at_last_the_worker_is_told_to_end_once(after_job, engine, database, caplog):
    leak = Block(200 * GB)
    assert after_job() is GuardStep.RESTART
    assert [row.step for row in rows(database)] == list(GuardStep)
    restart = rows(database)[-1]
    assert (restart.held_before_bytes, restart.held_after_bytes, restart.cost_s) == (NEEDED + leak.size, None, None)
    assert "the worker ends with status 71, to be started anew; no job is lost" in caplog.text
    assert after_job() is None, "a job that was on its way when the worker was told"
    assert len(rows(database)) == 3


def test_a_step_that_did_not_last_is_not_taken_again_but_the_next(after_job, device, database):
    taken = []
    for _ in range(4):
        device.cache.append(Block(200 * GB))
        taken.append(after_job())
        device.cache.clear()
    assert taken == [*GuardStep, None]
    assert [row.step for row in rows(database)] == list(GuardStep)


def test_a_step_that_lasted_is_taken_again(after_job, device, database):
    for _ in range(3):
        device.cache.append(Block(200 * GB))
        assert after_job() is GuardStep.EMPTY_CACHES
        assert [after_job() for _ in range(SETTLING_JOBS - 1)] == [None] * (SETTLING_JOBS - 1)
    assert [row.step for row in rows(database)] == [GuardStep.EMPTY_CACHES] * 3


def test_a_limit_below_what_the_jobs_need_is_raised_with_one_line_and_costs_no_step(
    new_guard, device, database, caplog
):
    guard = new_guard(memory_limit_gb=1)
    (line,) = [line for line in caplog.messages if "memory guard" in line]
    assert "the limit of 1.00 GB is below the 500.00 GB that these jobs need" in line
    assert "past 550.00 GB instead (NIGHTSHIFT_MEMORY_LIMIT_GB)" in line
    noise = Block(NEEDED // 10)
    for _ in range(3 * SETTLING_JOBS):
        assert guard.after_job(read_memory(device)) is None
    assert rows(database) == []
    assert caplog.messages[-1] == line
    leak = Block(1)
    assert guard.after_job(read_memory(device)) is GuardStep.RESTART
    assert rows(database)[0].limit_bytes == NEEDED + noise.size + leak.size - 1


def test_a_limit_with_room_says_nothing(guard, caplog):
    assert "memory guard" not in caplog.text


def test_swap_counts_by_what_it_grew_since_the_first_job(new_guard, device, database):
    # More than this machine uses, so that the guard's own reading finds it grown by nothing.
    swap = psutil.swap_memory().used + 50 * GB
    past, room = GuardStep.EMPTY_CACHES, LIMIT - NEEDED
    for held, growth, step in ((NEEDED, room, None), (NEEDED, room + 1, past), (LIMIT + 1, -1, past)):
        guard = new_guard()
        guard.after_job(MemoryReading(device_driver=NEEDED, swap=swap))
        assert guard.after_job(MemoryReading(device_driver=held, swap=swap + growth)) is step
    assert [row.held_before_bytes for row in rows(database)] == [LIMIT + 1] * 2


def test_resident_memory_counts_where_the_driver_holds_less(guard):
    assert guard.after_job(MemoryReading(rss=LIMIT, device_driver=1)) is None
    assert guard.after_job(MemoryReading(rss=LIMIT + 1, device_driver=LIMIT)) is GuardStep.EMPTY_CACHES


def test_what_was_not_measured_counts_nothing(guard):
    assert guard.after_job(MemoryReading()) is None
    assert guard.after_job(MemoryReading(rss=LIMIT)) is None


def test_without_a_limit_it_is_three_quarters_of_the_machine(new_guard):
    total = psutil.virtual_memory().total
    guard = new_guard(needed=total // 2, memory_limit_gb=0)
    assert guard.after_job(MemoryReading(rss=int(0.749 * total))) is None
    assert guard.after_job(MemoryReading(rss=int(0.751 * total))) is not None


def test_it_can_be_turned_off(new_guard, database):
    guard = new_guard(memory_guard=False)
    leak = Block(200 * GB)
    assert guard.after_job(MemoryReading(device_driver=NEEDED + leak.size)) is None
    assert rows(database) == []


def test_a_checkpoint_that_cannot_be_loaded_anew_ends_the_worker(after_job, engine, database, tmp_path, caplog):
    folder = shutil.copytree(DEMO_FOLDER, tmp_path / "copy")
    engine.use(Weights(str(folder)))
    shutil.rmtree(folder)
    in_pipeline(engine, Block(200 * GB))
    assert after_job() is GuardStep.RESTART
    assert [row.step for row in rows(database)] == [GuardStep.EMPTY_CACHES, GuardStep.RESTART]
    assert "could not be loaded anew" in caplog.text
    assert str(folder) in caplog.text


def test_no_clock_is_read_before_the_device_is_done(after_job, device, monkeypatch):
    events = []

    class Clock:
        @staticmethod
        def perf_counter():
            events.append("clock")
            return len(events)

    monkeypatch.setattr(memory_guard, "time", Clock)
    monkeypatch.setattr(DriverDevice, "synchronize", lambda _device: events.append("synchronize"))
    device.cache.append(Block(200 * GB))
    assert after_job() is GuardStep.EMPTY_CACHES
    assert events == ["synchronize", "clock"] * 2
