"""Goes into a worker process by its PYTHONPATH: at the places that files in the folder FAULTS name, something happens.

A file is named as the place and says what: `hold` until the file `PLACE.held` goes away, `hang` for ever, `raise NAME`
or `raise NAME TEXT`, `kill` the process or `kill TEXT` with that for its last words, `grip` the interpreter so that no
thread runs, be `slow` by a tenth of a second, or how a result is false: `spoil` (NaN), `stale` (the last one again),
`blank`, `dim`. It is used up by that, unless `always` or `twice` comes first. The file `clock` says how many seconds to
add to every time of day. The product knows nothing of it.
"""

import builtins
import ctypes
import errno
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from on_import import patch_on_import

FOLDER = Path(os.environ["FAULTS"])


def reach(place):
    """Do what the place's file says; return how the result is to be false, None if it is not."""
    file = FOLDER / place
    try:
        words = file.read_text().split()
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.EMFILE:
            # That is a fault, too, and this one's file cannot be read.
            return None
        raise
    if words[0] == "always":
        del words[0]
    elif words[0] == "twice":
        del words[0]
        file.write_text(" ".join(words))
    elif words[0] != "hold":
        file.unlink()
    if words[0] == "hold":
        held = file.rename(FOLDER / f"{place}.held")
        while held.exists():
            time.sleep(0.01)
    elif words[0] == "hang":
        threading.Event().wait()
    elif words[0] == "grip":
        # A call that holds the interpreter, as one of a driver's may.
        ctypes.PyDLL(None).sleep(3_600)
    elif words[0] == "slow":
        time.sleep(0.1)
    elif words[0] == "kill":
        sys.stderr.write(" ".join(words[1:]))
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    elif words[0] == "raise":
        raise getattr(builtins, words[1])(" ".join(words[2:]))
    return words[0] if words[0] in ("spoil", "stale", "blank", "dim") else None


#: Set while a job is made: the warm-up goes through the same code, and is none.
at_job = threading.Event()


def reach_in_job(place):
    return reach(place) if at_job.is_set() else None


def before(place, function):
    def reached(*args, **kwargs):
        reach(place)
        return function(*args, **kwargs)

    return reached


def after(place, function):
    def reached(*args, **kwargs):
        value = function(*args, **kwargs)
        reach(place)
        return value

    return reached


def patch_generation(module):
    generate, decode, images = module.generate, module._decode, []

    def with_places(loaded, device, spec, on_step):
        def step(number):
            reach_in_job("step")
            on_step(number)

        reach_in_job("encoding")
        return generate(loaded, device, spec, step)

    def decoded(*args):
        image = false(reach_in_job("decoding"), decode(*args), images)
        images[:] = [image]
        return image

    module.generate, module._decode = with_places, decoded


def false(how, tensor, last):
    """Return the tensor as a device leaves it that does not do what it is told."""
    match how:
        case "spoil":
            return tensor * float("nan")
        case "dim":
            return tensor / 2
        case "blank":
            return tensor * 0
        case "stale" if last:
            return last[0]
    return tensor


def patch_engine(module):
    make = module.Engine.make

    def make_job(*args):
        at_job.set()
        try:
            return make(*args)
        finally:
            at_job.clear()

    module.Engine.make = make_job


def patch_app(module):
    # Where Celery begins with the worker's own modules, before it comes to the one that imports torch.
    reach("starting")


def patch_loading(module):
    load = module.load_checkpoint

    def loading(*args):
        reach("loading")
        loaded = load(*args)
        denoise = type(loaded.pipeline).__call__

        class Pipeline(type(loaded.pipeline)):
            def __call__(self, *args, **kwargs):
                latents, *more = denoise(self, *args, **kwargs)
                return false(reach_in_job("denoised"), latents, []), *more

        loaded.pipeline.__class__ = Pipeline
        return loaded

    module.load_checkpoint = loading


def patch_picture_store(module):
    aside = module.Aside
    aside.write = before("writing", after("written", aside.write))
    put_in_place = aside.put_in_place

    @contextmanager
    def naming(*args, **kwargs):
        reach("naming")
        with put_in_place(*args, **kwargs):
            reach("named")
            yield

    aside.put_in_place = naming


def patch_attempts(module):
    module.claim = after("claiming", module.claim)
    module.settle = before("settling", after("settled", module.settle))


def patch_tables(module):
    right = module.now

    def now():
        clock = FOLDER / "clock"
        return right() + timedelta(seconds=float(clock.read_text()) if clock.exists() else 0)

    module.now = now


def patch_publication(module):
    module.unpublished = before("publishing", module.unpublished)


def patch_sweep(module):
    module.Sweep._look_after_all = before("sweeping", module.Sweep._look_after_all)


def patch_judging(module):
    module.Judge.judge = before("judging", module.Judge.judge)


def patch_examiner(module):
    popen = module.subprocess.Popen

    class Subprocess:
        """The module with a process that may not start, for the examiner alone."""

        Popen = staticmethod(before("examining", popen))
        PIPE = module.subprocess.PIPE

    module.subprocess = Subprocess


def patch_attempt_log(module):
    module.tell = before("telling", module.tell)


def patch_heartbeat(module):
    module.Heartbeat.beating = before("beating", module.Heartbeat.beating)


def patch_transport(module):
    can_consume = module._QoS.can_consume

    def hears(self):
        # A link that became deaf stays so; the next one asks again.
        self.deaf = getattr(self, "deaf", False) or reach("listening")
        return not self.deaf and can_consume(self)

    module._QoS.can_consume = hears
    module._QoS._strike = before("acknowledging", module._QoS._strike)


def patch_devices(module):
    if "STAND_IN" in os.environ:
        from stand_in import device

        module.BACKENDS = (device(reach, reach_in_job), *module.BACKENDS[1:])


patch_on_import(
    {
        "worker.devices.registry": patch_devices,
        "models.publication": patch_publication,
        "worker.celery": patch_app,
        "worker.engine": patch_engine,
        "worker.generation": patch_generation,
        "worker.loading": patch_loading,
        "models.picture_store": patch_picture_store,
        "models.attempts": patch_attempts,
        "models.tables": patch_tables,
        "checks.examiner": patch_examiner,
        "worker.judging": patch_judging,
        "worker.sweep": patch_sweep,
        "worker.attempt_log": patch_attempt_log,
        "worker.heartbeat": patch_heartbeat,
        "worker.transport": patch_transport,
    }
)
