"""Programs for a forked program that starts some: processes forked before it, so that they too have torch already.

`producer run`, `doctor` and the like, and the benchmark that runs all of those, start programs by `subprocess`, and in
a forked program they get one of these, their child, in place of each that imports torch.
"""

import inspect
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

#: Bytes of an order, which has an environment.
_LONGEST = 1 << 17
_NOTED = ["-m", "producer.local.noted_process"]


class _Asked(NamedTuple):
    """A module that is to run, and where it notes itself."""

    arguments: list[str]
    note: str | None


class Spare:
    """A process that waits to become a program."""

    def __init__(self, become: Callable[..., None], earlier: Sequence["Spare"]) -> None:
        # Each order arrives whole, or the end where nobody is left to give one.
        self._orders, orders = socket.socketpair(type=socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            # Held open here, they would keep those waiting whose program has ended.
            for one in (self._orders, *(one._orders for one in earlier)):
                one.close()
            order, files, *_ = socket.recv_fds(orders, _LONGEST, 3)
            orders.close()
            if order:
                become(files=files, **json.loads(order))
            sys.exit()
        orders.close()

    def start(self, files: Sequence[int], **order: object) -> None:
        """Have it become the program that an order tells, with these files as its standard ones."""
        socket.send_fds(self._orders, [json.dumps(order).encode()], list(files))
        self._orders.close()


def keep_spares(number: int, become: Callable[..., None]) -> None:
    """Fork so many, of which the program then takes one for each program that it starts and that imports torch.

    `become` takes the arguments, the environment, the folder and the files of a program, the file in which it notes
    itself, and whether it has a session of its own.
    """
    spares: list[Spare] = []
    for _ in range(number):
        spares.append(Spare(become, spares))
    start = subprocess.Popen._execute_child  # type: ignore[attr-defined]
    order_of = inspect.signature(start)

    def _execute_child(process: Any, *given: Any) -> None:
        order = order_of.bind(process, *given).arguments
        asked = _asked(order["args"])
        if asked is None or not spares:
            start(process, *given)
            return
        pipes = [order[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        spare = spares.pop()
        spare.start(
            [number if pipe == -1 else pipe for number, pipe in enumerate(pipes)],
            arguments=asked.arguments,
            environment=dict(os.environ if order["env"] is None else order["env"]),
            folder=os.fspath(order["cwd"] or Path.cwd()),
            note=asked.note,
            has_session=order["start_new_session"],
        )
        process.pid = spare.pid
        process._child_created = True
        process._close_pipe_fds(*(order[name] for name in _PIPES))

    subprocess.Popen._execute_child = _execute_child  # type: ignore[attr-defined]


_PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")


def _asked(arguments: object) -> _Asked | None:
    """Return what a command asks for, where it is `producer`, or a module of Python's that imports torch."""
    if not isinstance(arguments, list):
        return None
    if Path(arguments[0]).name == "producer":
        return _Asked(list(map(str, arguments)), None)
    if arguments[0] != sys.executable:
        return None
    words, note = [word for word in map(str, arguments[1:]) if word != "-P"], None
    if words[:2] == _NOTED:
        note, words = words[2], words[4:]
    is_heavy = words[:1] == ["-m"] and words[1].startswith(("celery", "faulty_", "worker.standalone.", "benchmarks."))
    return _Asked(words, note) if is_heavy else None
