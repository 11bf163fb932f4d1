"""Networks of a test's own: hosts that reach this machine by a link, which can be cut as one of a machine is."""

import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_numbers = itertools.count(1)


class Network:
    """A bridge on this machine, and hosts at it; only root can make one."""

    def __init__(self) -> None:
        # Names of links have 15 letters at most, and are the machine's.
        self._name = f"ns{os.getpid() % 100_000}{next(_numbers)}"
        self._net = f"10.231.{os.getpid() % 250}"
        self.address = f"{self._net}.1"
        self._hosts: list[str] = []
        try:
            self._ip("link", "add", self._name, "type", "bridge")
            self._ip("address", "add", f"{self.address}/24", "dev", self._name)
            self._ip("link", "set", self._name, "up")
        except (OSError, subprocess.CalledProcessError) as error:
            self.close()
            pytest.skip(f"no network of its own can be made here: {error}")

    def host(self) -> str:
        """Add a host, and return its name; `command` has a program run on it."""
        number = len(self._hosts) + 2
        host, link = f"{self._name}h{number}", f"{self._name}v{number}"
        self._hosts.append(host)
        self._ip("netns", "add", host)
        self._ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", host)
        self._ip("link", "set", link, "master", self._name, "up")
        self._ip("-n", host, "address", "add", f"{self._net}.{number}/24", "dev", "eth0")
        for name in ("lo", "eth0"):
            self._ip("-n", host, "link", "set", name, "up")
        return host

    @staticmethod
    def command(host: str) -> list[str]:
        """Return what begins a command that is to run there."""
        return ["ip", "netns", "exec", host]

    @contextmanager
    def cut_off(self, host: str) -> Iterator[None]:
        """Have nothing come from or to a host, and nobody be told, while the block runs."""
        link = f"{self._name}v{self._hosts.index(host) + 2}"
        self._ip("link", "set", link, "down")
        try:
            yield
        finally:
            self._ip("link", "set", link, "up")

    def close(self) -> None:
        # With a namespace goes its end of the link, and with that the other.
        for host in self._hosts:
            subprocess.run(["ip", "netns", "delete", host], check=False)
        subprocess.run(["ip", "link", "delete", self._name], check=False, stderr=subprocess.DEVNULL)

    @staticmethod
    def _ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)
