"""Keeping the machine awake while there are jobs.

A machine that nobody touches goes to sleep, however busy its device is. A program of the system's holds that off for
as long as it runs: caffeinate(8) of macOS, systemd-inhibit(1) of Linux.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from worker.events import Event
from worker.log import event, log


class Awake:
    """Holds the machine awake while there is work, and lets it go when there is none."""

    def __init__(self, has_work: Callable[[], bool]) -> None:
        self._has_work = has_work
        self._holding: subprocess.Popen[bytes] | None = None
        self._program = ""
        self._refused = False

    def look(self) -> None:
        """Begin or cease to hold, as there is work or not."""
        if not self._has_work():
            self.let_go()
        elif self._holding is None and not self._refused:
            self._hold()
        elif self._holding is not None and (status := self._holding.poll()) is not None:
            log.info(
                "the machine may fall asleep: %s ended with status %d",
                self._program,
                status,
                extra=event(Event.AWAKE_LOST),
            )
            # Tried anew at the next work, not each heartbeat of a night.
            self._holding, self._refused = None, True

    def let_go(self) -> None:
        """Let the machine sleep, as far as it is up to this worker."""
        self._refused = False
        if self._holding is None:
            return
        try:
            # The whole of the group that it was started in: systemd-inhibit has a child.
            os.killpg(self._holding.pid, signal.SIGTERM)
        except ProcessLookupError:
            log.debug("what kept the machine awake was gone already")
        self._holding.wait()
        self._holding = None
        log.debug("the machine may sleep")

    def _hold(self) -> None:
        command = awake_command(os.getpid())
        if command is None:
            self._refused = True
            return
        self._program = Path(command[0]).name
        self._holding = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        log.debug("the machine is kept awake: %s", " ".join(command))


def awake_command(pid: int) -> list[str] | None:
    """Return what keeps this machine awake until process `pid` ends; None where there is no such program."""
    if caffeinate := shutil.which("caffeinate"):
        # Not -d: the display may go dark. -m: the disk may not.
        return [caffeinate, "-im", "-w", str(pid)]
    if inhibit := shutil.which("systemd-inhibit"):
        until_it_ends = ["tail", f"--pid={pid}", "-f", "/dev/null"]
        return [inhibit, "--what=idle:sleep", "--who=Nightshift", "--why=pictures are being made", *until_it_ends]
    return None
