"""What the soak does to a worker, its server, its database and its files, drawn at random."""

import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import redis
from faults import FAULTY, QUICK, Faults, no_file_handle
from installation import Installation
from lora_files import kohya, random_layers, save
from programs import WorkerProcess
from redis_server import RedisServer
from sqlalchemy import func, select

from models.records.control import cancel, job_scope
from models.records.tables import Batch, Job
from models.settings import Settings
from models.types.message import DEFAULT_QUEUE, JobMessage
from models.types.states import FINISHED, JobState
from worker.engine.checkpoints.local_checkpoint import find_checkpoint
from worker.engine.devices.cpu import Cpu
from worker.engine.loading import load_checkpoint
from worker.queue.app import KEY_PREFIX, TASK, make_app

JOBS_A_BATCH = 25
#: So narrow a limit that about half of the pictures are rejected; and a batch that has others made instead of them.
_PICKY, _TARGET = "centre,centre.off=0.04", ("--target", JOBS_A_BATCH, "--replacements", 3)
_PROMPTS = ("a red boot", "a blue loafer", "white sneakers", "a green high-top")
#: Of half of the jobs, since each switch is a moment at which faults strike.
_LORAS = ("", "", "", "olive:0.5", "leather", "olive, leather:-0.3")
#: At which a worker is killed.
_PLACES = ("switching", "encoding", "decoding", "writing", "written", "settling", "named", "settled")
#: Longest that one fault lasts.
_LONGEST_S = 8.0
#: Longest that a fault may keep jobs from ending before the next one strikes.
_STANDSTILL_S = 40.0


def _demo() -> Any:
    import torch

    return load_checkpoint(find_checkpoint("demo"), Cpu("cpu", torch.float32), Settings(_env_file=None)).pipeline


class Soak:
    """One run: a server, a worker that is started again whenever it ends, and what befell them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._random = random.Random(seed)
        self._pipeline = _demo()
        self.server = RedisServer(folder / "server", append_only=True)
        self.server.start()
        settings = (
            FAULTY
            | QUICK
            | {
                "NIGHTSHIFT_HANG_S": "20",
                "NIGHTSHIFT_QUARANTINE_AFTER": "5",
                # A device that can be told not to compute.
                "NIGHTSHIFT_DEVICE": "mps",
                "STAND_IN": "0",
            }
        )
        self.nightshift = Installation(folder / "nightshift", self.server.url(), **settings)
        self.faults = Faults(self.nightshift)
        for name in ("olive", "leather"):
            self._write_lora(name)
        self._worker: WorkerProcess | None = None
        self.met: Counter[str] = Counter()
        #: Batches of which nothing may begin any more.
        self.cancelled: set[str] = set()
        self.ends: Counter[int | None] = Counter()

    def close(self) -> None:
        self.nightshift.close()
        self.server.kill()

    def supervise(self) -> None:
        """Start a worker where none is alive, as launchd does."""
        if self._worker is None or self._worker.status is not None:
            if self._worker is not None:
                self.ends[self._worker.status] += 1
                self._worker.end_awaited = True
            self._worker = self.nightshift.start_worker_anew()

    @property
    def worker(self) -> WorkerProcess:
        assert self._worker is not None
        return self._worker

    def enqueue(self, count: int) -> None:
        prompt, steps = self._random.choice(_PROMPTS), self._random.randint(6, 30)
        lora = self._random.choice(_LORAS)
        asked = ("enqueue", "--new", "--prompt", prompt, "--count", count, "--steps", steps, "--lora", lora)
        self.nightshift.producer(
            *asked, *self._random.choice(((), ("--checks", _PICKY), ("--checks", _PICKY, *_TARGET)))
        )

    def jobs(self) -> int:
        with self.nightshift.database.reading() as session:
            return session.scalar(select(func.count(Job.id))) or 0

    def left(self) -> int:
        with self.nightshift.database.reading() as session:
            return session.scalar(select(func.count(Job.id)).where(Job.state.not_in(FINISHED))) or 0

    def strike(self) -> str:
        """Do one fault and return its name."""
        fault = self._random.choice(FAULTS)
        fault(self)
        self.met[fault.__name__.replace("_", " ")] += 1
        return fault.__name__.replace("_", " ")

    def wait_for_progress(self) -> None:
        """Wait until a job ended since the last fault, so that faults strike work and not only starts."""
        left, until = self.left(), time.monotonic() + _STANDSTILL_S
        while self.left() == left and time.monotonic() < until:
            self.supervise()
            time.sleep(0.1)

    def pause_s(self) -> float:
        return self._random.uniform(0.2, _LONGEST_S)

    def kill_worker(self) -> None:
        self.worker.kill()

    def stop_worker(self) -> None:
        self.worker.send(signal.SIGTERM)

    def close_the_workers_terminal(self) -> None:
        self.worker.send(signal.SIGHUP)

    def interrupt_worker_twice(self) -> None:
        for _ in range(2):
            self.worker.send(signal.SIGINT)
            time.sleep(0.3)

    def freeze_worker(self) -> None:
        self.worker.send(signal.SIGSTOP)
        time.sleep(self.pause_s())
        self.worker.send(signal.SIGCONT)

    def kill_redis(self) -> None:
        self.server.kill()
        time.sleep(self.pause_s())
        self.server.start()

    def flush_redis(self) -> None:
        with self.server.client() as client:
            client.flushall()

    def freeze_redis(self) -> None:
        self.server.send(signal.SIGSTOP)
        time.sleep(self.pause_s())
        self.server.send(signal.SIGCONT)

    def cut_links(self) -> None:
        with self.server.client() as client:
            client.client_kill_filter(_type="normal", skipme=True)

    def fill_redis(self) -> None:
        with self.server.client() as client:
            client.config_set("maxmemory", 1)
            time.sleep(self.pause_s())
            client.config_set("maxmemory", 0)

    def send_junk(self) -> None:
        with self.server.client() as client:
            for _ in range(20):
                client.lpush(f"{KEY_PREFIX}{DEFAULT_QUEUE}", self._random.randbytes(self._random.randint(1, 300)))

    def send_duplicates(self) -> None:
        with self.nightshift.database.reading() as session:
            rows = session.execute(select(Job.id, Batch.uid).join(Batch).order_by(func.random()).limit(10)).all()
        messages = [JobMessage(job=number, batch=uid) for number, uid in rows]
        with make_app(Settings(_env_file=None, broker_url=self.server.url())) as app, suppress(redis.RedisError):
            for message in messages:
                app.send_task(TASK, args=[message.model_dump()], priority=5, retry=False)

    def lock_database(self) -> None:
        file = self.nightshift.data_dir / "nightshift.db"
        with closing(sqlite3.connect(file, isolation_level=None, timeout=60)) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(self.pause_s())
            other.execute("ROLLBACK")

    def replace_the_database_by_a_copy(self) -> None:
        file, copy = self.nightshift.data_dir / "nightshift.db", self.nightshift.folder / "copy.db"
        # A program that opens the file between two of these lines would mix the two.
        self.worker.send(signal.SIGSTOP)
        with suppress(sqlite3.OperationalError):
            with closing(sqlite3.connect(file, timeout=1)) as old, closing(sqlite3.connect(copy)) as new:
                old.backup(new)
            self.nightshift.close_database()
            for old_file in self.nightshift.data_dir.glob("nightshift.db*"):
                old_file.unlink()
            copy.rename(file)
        self.worker.send(signal.SIGCONT)

    def take_file_handles_away(self) -> None:
        with suppress(ProcessLookupError), no_file_handle(self.worker):
            time.sleep(self.pause_s())

    def move_pictures_away_and_back(self) -> None:
        folder = self.nightshift.data_dir / "pictures"
        if not folder.is_dir():
            return
        away = folder.rename(folder.with_name("away"))
        folder.write_text("in the way")
        time.sleep(self.pause_s())
        folder.unlink()
        away.rename(folder)

    def take_the_loras_away(self) -> None:
        """Jobs that name one fail meanwhile, and say so."""
        folder = self.nightshift.data_dir / "loras"
        away = folder.rename(folder.with_name("loras-away"))
        time.sleep(self.pause_s())
        away.rename(folder)

    def replace_a_lora(self) -> None:
        self._write_lora(self._random.choice(("olive", "leather")))

    def cut_a_lora_short(self) -> None:
        file = self.nightshift.data_dir / "loras" / "olive.safetensors"
        whole = file.read_bytes()
        file.write_bytes(whole[: self._random.randrange(len(whole))])
        time.sleep(self.pause_s())
        file.write_bytes(whole)

    def _write_lora(self, name: str) -> None:
        file = self.nightshift.data_dir / "loras" / f"{name}.safetensors"
        save(kohya(random_layers(self._pipeline, self._random.randrange(10**6))), file)

    def raise_in_a_step(self) -> None:
        what = ("ValueError bad", "SystemExit 3", "KeyboardInterrupt", "RuntimeError command buffer", "MemoryError")
        self.faults.at("step", f"raise {self._random.choice(what)}")

    def spoil_a_picture(self) -> None:
        self.faults.at("decoding", "spoil")

    def spoil_latents(self) -> None:
        self.faults.at("denoised", self._random.choice(("spoil", "twice spoil")))

    def have_the_device_make_nothing(self) -> None:
        self.faults.at("decoding", self._random.choice(("blank", "stale")))

    def have_the_device_not_compute(self) -> None:
        self.faults.at("computing", "stale")

    def kill_worker_at_a_place(self) -> None:
        place = self._random.choice(_PLACES)
        self.faults.hold(place)
        until = time.monotonic() + _LONGEST_S
        while not self.faults.held(place) and time.monotonic() < until:
            time.sleep(0.05)
        self.worker.kill()
        self.faults.clear()

    def hang_a_step(self) -> None:
        self.faults.at("step", "hang")

    def hold_the_interpreter(self) -> None:
        self.faults.at("step", "grip")

    def cancel_a_batch_and_queue_it_again(self) -> None:
        with self.nightshift.database.reading() as session:
            name = session.scalar(
                select(Batch.name).join(Job).where(Job.state == JobState.QUEUED).order_by(func.random()).limit(1)
            )
        if name is not None:
            self.nightshift.producer("cancel", name)
            self.nightshift.producer("retry", name, "--cancelled")

    def cancel_a_batch_for_good(self) -> None:
        with self.nightshift.database.reading() as session:
            # Those with a target are what goes on by itself.
            unfinished = select(Batch.name).join(Job).where(Job.state.not_in(FINISHED), Batch.target.is_not(None))
            name = session.scalar(unfinished.order_by(func.random()).limit(1))
        if name is not None:
            self.nightshift.producer("cancel", name)
            self.cancelled.add(name)

    def freeze_the_process_that_looks(self) -> None:
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self.worker.pid).children():
                if "checks" in process.cmdline():
                    process.send_signal(signal.SIGSTOP)

    def have_nobody_look(self) -> None:
        self.faults.at("examining", "always raise OSError odd")
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self.worker.pid).children():
                if "checks" in process.cmdline():
                    process.kill()
        time.sleep(self.pause_s())
        self.faults.forget("examining")

    def break_beside_the_device(self) -> None:
        place = self._random.choice(("judging", "settling", "settled", "naming", "named", "telling"))
        self.faults.at(place, f"raise {self._random.choice(('KeyError', 'MemoryError', 'OSError', 'SystemExit'))} odd")

    def have_no_thread_start(self) -> None:
        self.faults.at("beating", "raise RuntimeError can't start new thread")

    def reject_a_picture(self) -> None:
        with self.nightshift.database.reading() as session:
            job = session.scalar(select(Job.id).where(Job.state == JobState.SUCCEEDED).order_by(func.random()).limit(1))
        if job is not None:
            self.nightshift.producer("reject", job)

    def cancel_a_job(self) -> None:
        with self.nightshift.database.writing() as session:
            job = session.scalar(select(Job.id).where(Job.state.not_in(FINISHED)).order_by(func.random()).limit(1))
            if job is not None:
                cancel(session, job_scope(session, job))

    def pause_the_queue(self) -> None:
        self.nightshift.producer("pause")
        time.sleep(self.pause_s())
        self.nightshift.producer("resume")

    def enqueue_without_redis(self) -> None:
        self.nightshift.producer(
            "enqueue", "--new", "--prompt", "a grey loafer", "--count", 3, NIGHTSHIFT_BROKER_URL="redis://127.0.0.1:1/0"
        )


FAULTS: tuple[Callable[[Soak], None], ...] = (
    Soak.kill_worker,
    Soak.kill_worker_at_a_place,
    Soak.stop_worker,
    Soak.close_the_workers_terminal,
    Soak.interrupt_worker_twice,
    Soak.freeze_worker,
    Soak.kill_redis,
    Soak.flush_redis,
    Soak.freeze_redis,
    Soak.cut_links,
    Soak.fill_redis,
    Soak.send_junk,
    Soak.send_duplicates,
    Soak.lock_database,
    Soak.replace_the_database_by_a_copy,
    Soak.take_file_handles_away,
    Soak.move_pictures_away_and_back,
    Soak.take_the_loras_away,
    Soak.replace_a_lora,
    Soak.cut_a_lora_short,
    Soak.raise_in_a_step,
    Soak.spoil_a_picture,
    Soak.spoil_latents,
    Soak.have_the_device_make_nothing,
    Soak.have_the_device_not_compute,
    Soak.hang_a_step,
    Soak.hold_the_interpreter,
    Soak.cancel_a_batch_and_queue_it_again,
    Soak.cancel_a_batch_for_good,
    Soak.freeze_the_process_that_looks,
    Soak.have_nobody_look,
    Soak.break_beside_the_device,
    Soak.have_no_thread_start,
    Soak.reject_a_picture,
    Soak.cancel_a_job,
    Soak.pause_the_queue,
    Soak.enqueue_without_redis,
)
