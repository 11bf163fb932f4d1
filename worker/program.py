"""What `celery -A worker worker` runs."""

import gc
import os
import sys
import time
import warnings
from typing import Any

import redis
from celery import signals
from celery.apps.worker import Worker
from celery.platforms import SecurityWarning

from models.settings import load_settings
from worker.care.file_handles import can_open_file, is_for_want_of_file_handle, raise_file_limit
from worker.engine.allocator import keep_memory
from worker.engine.processors import Processors, set_waiting
from worker.events import Event
from worker.log import configure_logging, event, log, quiet_libraries
from worker.queue import transport
from worker.shutdown import Shutdown

quiet_libraries(load_settings())
raise_file_limit()
#: Those that torch's threads may take; None where a person has set how many threads there are.
PROCESSORS = Processors() if set_waiting() else None

# What is imported stays, and the collector would look through all of it again and again while it comes.
gc.disable()
# This brings torch, diffusers and transformers, for which the lines above have made ready.
from worker.boot import Boot  # noqa: E402
from worker.composition import Parts  # noqa: E402

gc.freeze()
gc.enable()

_LOOK_S = 1.0


class Program(Worker):
    """Celery's worker program with what this queue needs fixed: one thread, no chatter between workers."""

    #: What its workers are made of.
    parts = Parts()

    def __init__(self, app: Any = None, hostname: str | None = None, **options: Any) -> None:
        fixed = {"pool_cls": "threads", "concurrency": 1, "quiet": True}
        # What workers say to one another nobody here reads, and a frozen server would hold them up while they say it;
        # but monitors take a worker whose heartbeat they do not hear to be gone.
        fixed |= {"without_mingle": True, "without_gossip": True}
        fixed["without_heartbeat"] = not load_settings().celery_events
        # Those of its settings alone: it puts lost jobs on other queues, too, and would take from those from then on.
        fixed["queues"] = load_settings().queue_names
        self._is_told_queues = bool(options.get("queues"))
        # Root is a danger with pickled messages only, and this queue takes JSON alone.
        warnings.simplefilter("ignore", SecurityWarning)
        transport.install(self.parts.transport)
        # Before there is the thread that makes pictures.
        keep_memory()
        #: What it was told by signals, or by its own parts.
        self.told = Shutdown()
        self.processors = PROCESSORS
        super().__init__(app, hostname, **options | fixed)

    def start(self) -> None:
        """Run until it is told to end; or begin anew after that, as if the same command had been typed again."""
        super().start()
        # Python itself does not start where no file can be opened.
        while self.told.begins_anew and not can_open_file():
            time.sleep(_LOOK_S)
        if self.told.begins_anew and not self.exitcode:
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - what this process is, too

    def stop(self, in_sighandler: bool = False, exitcode: int | None = None) -> None:
        """End in order, with a status; without one where it is to begin anew."""
        super().stop(in_sighandler, None if self._gives_up_for_want_of_file_handle() else exitcode)

    def terminate(self, in_sighandler: bool = False) -> None:
        """End without looking after what Celery has in hand."""
        self._gives_up_for_want_of_file_handle()
        super().terminate(in_sighandler)

    def _gives_up_for_want_of_file_handle(self) -> bool:
        """Tell whether the program ends since no file could be opened, and have it begin anew if so.

        Celery's loop then has neither a link to Redis nor what it waits with, or the checkpoint could not be loaded at
        the start; a new process makes all of that.
        """
        error = sys.exc_info()[1]
        if error is None or self.told.asked.is_set() or not is_for_want_of_file_handle(error):
            return False
        log.error(
            "no file can be opened, and the worker cannot go on: it ends its job, waits, and begins anew",
            extra=event(Event.WORKER_BEGINS_ANEW),
        )
        self.told.begins_anew = True
        return True

    def install_platform_tweaks(self, worker: Any) -> None:
        """Take the signals that end the worker away from Celery."""
        super().install_platform_tweaks(worker)
        self.told.listen()

    def connect_anew(self) -> None:
        """Have the link to Redis fail, and with it all that depends on its state; Celery then makes a new one."""

        def fail() -> None:
            raise redis.ConnectionError("idle while messages wait")

        self.hub.call_soon(fail)

    def on_init_blueprint(self) -> None:
        """Add the boot to the program's steps."""
        super().on_init_blueprint()
        if self._is_told_queues:
            log.warning(
                "-Q is not for this worker: NIGHTSHIFT_QUEUES names the queues that it takes jobs from",
                extra=event(Event.QUEUES_BY_SETTINGS),
            )
        self.app.steps["worker"].add(Boot)


@signals.setup_logging.connect
def _setup_logging(**_options: Any) -> None:
    configure_logging(load_settings())
