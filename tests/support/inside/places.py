"""Places in a worker where something happens: what files in the folder FAULTS say.

A file is named as the place and says what: `hold` until the file `PLACE.held` goes away, `hang` for ever, `raise NAME`
or `raise NAME TEXT`, `kill` the process or `kill TEXT` with that for its last words, `grip` the interpreter so that no
thread runs, be `slow` by a tenth of a second, or how a result is false: `spoil` (NaN), `stale` (the last one again),
`blank`, `dim`. It is used up by that, unless `always` or `twice` comes first. The file `clock` says how many seconds to
add to every time of day.
"""

import builtins
import ctypes
import errno
import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine

FOLDER = Path(os.environ["FAULTS"])
_FALSE = ("spoil", "stale", "blank", "dim")


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
    return words[0] if words[0] in _FALSE else None


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


def set_clock_by_file():
    """Have every time of day be what the file `clock` says, from now on; clocks that only count go on as they are."""
    file, begun = FOLDER / "clock", time.monotonic()
    real = datetime.now(UTC)

    def follow():
        shown = 0.0
        with time_machine.travel(real + timedelta(seconds=time.monotonic() - begun), tick=True) as traveller:
            while True:
                wanted = float(file.read_text()) if file.exists() else 0.0
                if wanted != shown:
                    traveller.shift(timedelta(seconds=wanted - shown))
                    shown = wanted
                time.sleep(0.01)

    threading.Thread(target=follow, daemon=True).start()
