"""Workers for a forked program that starts one: processes forked before it, so that they too have torch already.

`producer run` and the like start workers by `subprocess`, and in a forked program they get these for it, its children.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

#: As many as one starts in any test.
_NUMBER = 4


class Spare:
    """A process that waits to become a program; its methods are those of `subprocess.Popen`."""

    def __init__(self, become: Callable[..., None], earlier: Sequence["Spare"]) -> None:
        orders, self._orders = os.pipe()
        self._status: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            # Held open here, they would keep those waiting whose program has ended.
            for descriptor in (self._orders, *(one._orders for one in earlier)):
                os.close(descriptor)
            with os.fdopen(orders) as pipe:
                order = pipe.read()
            if order:
                become(**json.loads(order))
            sys.exit()
        os.close(orders)

    def start(self, **order: object) -> None:
        """Have it become the program."""
        with os.fdopen(self._orders, "w") as pipe:
            json.dump(order, pipe)

    def poll(self) -> int | None:
        if self._status is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = os.waitstatus_to_exitcode(status) if ended else None
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(0.02)
        return status

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def keep_spares(become: Callable[..., None], celery: Path) -> None:
    """Fork some, of which the program then takes one for each worker that it starts.

    `become` takes the arguments, the environment, the folder and the files of a program, and the file in which it notes
    itself; `celery` is the script of it.
    """
    spares: list[Spare] = []
    for _ in range(_NUMBER):
        spares.append(Spare(become, spares))

    class Popen(subprocess.Popen[bytes]):
        def __new__(cls, arguments: list[str], **options: Any) -> Any:
            if "celery" not in arguments:
                return super().__new__(cls)
            spare, program, (note,) = spares.pop(), arguments.index("celery"), arguments[4:5]
            spare.start(
                arguments=[str(celery), *arguments[program + 1 :]],
                environment=options["env"],
                folder=str(options["cwd"]),
                files=[os.devnull, options["stdout"].name, options["stdout"].name],
                note=note,
            )
            return spare

    subprocess.Popen = Popen  # type: ignore[assignment,misc]
