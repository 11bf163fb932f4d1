"""A pgbouncer before the tests' PostgreSQL, which gives each transaction whichever connection is free."""

import os
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from postgres_server import PostgresServer
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

#: Seconds that it may take to start.
_PATIENCE_S = 30.0


class Pgbouncer:
    """It asks for no password, and has the server's; it serves the database of `url`."""

    def __init__(self, server: PostgresServer, url: str, folder: Path, connections: int) -> None:
        self._folder = folder
        database = url.partition("?")[0].rpartition("/")[2]
        (folder / "users").write_text('"nightshift" "nothing"\n')
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n{database} = host={server.folder} user=nightshift password={server.password}\n"
            f"[pgbouncer]\nlisten_addr=\nunix_socket_dir={folder}\nlisten_port=6432\nauth_type=trust\n"
            f"auth_file={folder}/users\npool_mode=transaction\ndefault_pool_size={connections}\n"
            f"logfile={folder}/log\nmax_client_conn=200\n"
        )
        self.url = f"postgresql://nightshift@/{database}?host={folder}&port=6432"
        # It refuses to run as root, as the server does, whose folder only that user may enter.
        self._user = server.user
        if self._user:
            os.chown(folder, self._user["user"], self._user["group"])

    def start(self) -> None:
        program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
        if program is None:
            pytest.skip("pgbouncer is not installed")
        self._process = subprocess.Popen([program, "pgbouncer.ini"], cwd=self._folder, **self._user)
        engine = create_engine(self.url.replace("postgresql", "postgresql+psycopg", 1))
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            with suppress(OperationalError), engine.connect():
                break
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                pytest.fail(f"pgbouncer did not start:\n{(self._folder / 'log').read_text()}")
            time.sleep(0.01)
        engine.dispose()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
