"""Watches a worker: `python -m worker.care.watches.watchdog_process LIMIT_S`, signs of life on standard input.

It imports neither Celery nor torch, since it lives beside a worker for a night.
"""

import os
import select
import signal
import sys

import psutil

#: Seconds between two looks.
_LOOK_S = 1.0


def main() -> None:
    """Watch the parent until it closes standard input, which it also does by ending; kill it if it falls silent."""
    # Told to end is the worker; this one ends with it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    limit_s, watched = float(sys.argv[1]), psutil.Process(os.getppid())
    silent_s = 0.0
    while silent_s <= limit_s:
        ready, _, _ = select.select([sys.stdin.fileno()], [], [], _LOOK_S)
        if ready:
            if not os.read(sys.stdin.fileno(), 4096):
                return
            silent_s = 0.0
        elif not _is_stopped(watched):
            # Looks are counted, not time: a machine that slept for an hour has not hung for one.
            silent_s += _LOOK_S
    sys.stderr.write(
        f"no thread of the worker has run for {silent_s:.0f} s: a step holds the interpreter, and the worker is "
        "killed; its job goes back to the queue with the next start\n"
    )
    sys.stderr.flush()
    os.kill(watched.pid, signal.SIGKILL)


def _is_stopped(process: psutil.Process) -> bool:
    """Tell whether somebody has frozen the process, which then has not hung."""
    try:
        return bool(process.status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return True


if __name__ == "__main__":
    main()
