"""A PostgreSQL server of the tests' own."""

import os
import pwd
import shutil
import subprocess
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text


class PostgresServer:
    """A PostgreSQL server on a socket in a folder of its own; it asks for a password, and hears one network at most."""

    password = "hidden-word"

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries = binaries
        #: Where its socket is.
        self.folder = folder
        self._numbers = count(1)
        #: As `subprocess` takes it. The server refuses to run as root, so it gets Debian's user for it, or the one
        #: that owns nothing.
        self.user: dict[str, Any] = {}
        if os.geteuid() == 0:
            names = {entry.pw_name for entry in pwd.getpwall()}
            user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
            self.user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(folder, user.pw_uid, user.pw_gid)

    def url(self, database: str, password: str | None = None) -> str:
        return f"postgresql+psycopg://nightshift:{password or self.password}@/{database}?host={self.folder}"

    def start(self, address: str = "") -> None:
        """Make it and start it; it listens at an address as well, to all of that network, if one is given."""
        (self.folder / "password").write_text(self.password)
        (self.folder / "password").chmod(0o644)
        login = ("--username=nightshift", "--auth=scram-sha-256", f"--pwfile={self.folder / 'password'}")
        self._run("initdb", "--no-sync", "--encoding=UTF8", "--locale=C", *login)
        # Nothing here has to outlive the machine, so no commit waits for the disk.
        with (self.folder / "data" / "pg_hba.conf").open("a") as hosts:
            hosts.write("host all all samenet scram-sha-256\n")
        options = f"-c listen_addresses={address} -c unix_socket_directories={self.folder} -c fsync=off"
        self._run("pg_ctl", "start", "--wait", f"--log={self.folder / 'log'}", f"--options={options}")

    def restart(self) -> None:
        """Start it anew, as one is that was killed."""
        self._run("pg_ctl", "restart", "--wait", "--mode=immediate", f"--log={self.folder / 'log'}")

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "--wait", "--mode=immediate")

    def create(self, template: str = "template1") -> str:
        """Make a database and return its URL."""
        name = f"night{next(self._numbers)}"
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        engine.dispose()
        return self.url(name)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), "-D", str(self.folder / "data"), *arguments]
        # To a file, because the server inherits it and would keep a pipe open.
        with (self.folder / "output").open("ab") as output:
            done = subprocess.run(command, stdout=output, stderr=output, cwd=self.folder, timeout=90, **self.user)
        if done.returncode != 0:
            pytest.fail(f"{program} failed:\n{(self.folder / 'output').read_text()}")


def postgres_binaries() -> Path | None:
    """Return the newest PostgreSQL's folder; Debian keeps it off PATH."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(versions, key=lambda path: float(path.parent.name), default=None)
