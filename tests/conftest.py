"""Fixtures for all tests: a server, and installations with data folders and queues of their own."""

import gc
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import create_engine

# pytest puts this folder on the path, where `tests/worker` and `tests/producer` would pass for the packages of those
# names. The settings of whoever runs the tests are not for the tests either.
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).resolve().parent]
for _variable in [name for name in os.environ if name.upper().startswith("NIGHTSHIFT_")]:
    del os.environ[_variable]

from installation import Installation  # noqa: E402
from postgres_server import PostgresServer, postgres_binaries  # noqa: E402
from programs import WorkerProcess  # noqa: E402
from redis_server import RedisServer  # noqa: E402
from s3_server import S3Server  # noqa: E402

from models.records.backends.migrating import upgrade  # noqa: E402
from models.settings import Settings  # noqa: E402

_Value = TypeVar("_Value")
#: Installations that fixtures have open, whose workers' logs say what a failure is about.
_open: list[Installation] = []
_LINES_OF_A_LOG = 60


#: What is in these needs workers of its own, servers that are killed, or minutes of a processor.
_SLOW_FOLDERS = ("compose", "faults", "system", "training")
#: Files that take longest, the longest first: begun last, each would keep one process at work while others have nothing
#: to do.
_LONG_FILES = (
    *("test_manual.py", "test_sweep.py", "test_training.py", "test_train.py", "test_no_file_handle.py", "test_kill.py"),
    *("test_recipe.py", "test_producer.py", "test_demo.py", "test_late_owner.py", "test_shutdown.py", "test_run.py"),
    *("test_page.py", "test_doctor.py", "test_redis.py", "test_benchmarks.py", "test_denoiser.py", "test_kept.py"),
    *("test_record_machine.py", "test_fleet.py", "test_tuned_calls.py", "test_trainer.py"),
)


_POSTGRESQL = "postgresql"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database", choices=("sqlite", _POSTGRESQL), default="sqlite", help="where installations have their record"
    )


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what `make test` leaves to `make test-all`, before tests are chosen by their marks.

    What is marked `smoke` is one of its kind for all others, and `make test` has it.
    """
    if item.path.relative_to(Path(__file__).parent).parts[0] in _SLOW_FOLDERS:
        item.add_marker("slow")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest files first, last of all, since pytest has an order of its own."""
    on_sqlite = config.getoption("--database") == "sqlite"
    # Where pictures are kept is tried with one of the databases.
    dropped = [item for item in items if _kept_in(item) == (_POSTGRESQL, "objects")]
    config.hook.pytest_deselected(items=dropped)
    items[:] = [item for item in items if item not in dropped]
    for item in items:
        if not on_sqlite and item.get_closest_marker("of_sqlite"):
            item.add_marker(pytest.mark.skip(reason="it is about SQLite's file"))
    place = {name: number for number, name in enumerate(_LONG_FILES)}
    # What is of one database and one store can have its workers in common.
    items.sort(
        key=lambda item: (place[item.path.name], *_kept_in(item)) if item.path.name in place else (len(place), "", "")
    )


def _kept_in(item: pytest.Item) -> tuple[str, str]:
    """Return which database and which store a test asks for, if it does."""
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return str(parameters.get("database_kind", "")), str(parameters.get("store", ""))


def pytest_collection_finish() -> None:
    """Have collections pass over what was imported, which stays: an engine collects each time it lets weights go."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach the logs of the workers that are open to what is said of a failure."""
    report = yield
    if report.failed:
        for worker in [worker for made in _open for worker in made.workers]:
            state = "running" if worker.status is None else f"ended with status {worker.status}"
            log = "\n".join(worker.lines[-_LINES_OF_A_LOG:])
            report.sections.append((f"worker {worker.pid}, {state}: the end of {worker.log_file}", log))
    return report


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The server that most tests share, each with a database of its own."""
    server = RedisServer(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def new_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RedisServer]]:
    """Return a maker of servers that are not running yet, for tests that start and kill them."""
    servers: list[RedisServer] = []

    def make(password: str = "", *, append_only: bool = False) -> RedisServer:
        servers.append(RedisServer(tmp_path_factory.mktemp("server"), password, append_only=append_only))
        return servers[-1]

    yield make
    for server in servers:
        server.kill()


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    """Give numbers of databases of the server that most tests share."""
    return itertools.count(1)


@pytest.fixture(scope="module")
def database_kind(request: pytest.FixtureRequest) -> object:
    """Say where installations have their record; modules that are most about that have both."""
    return getattr(request, "param", request.config.getoption("--database"))


@pytest.fixture(scope="module")
def installation(
    server: RedisServer,
    numbers: Iterator[int],
    database_kind: str,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Callable[..., AbstractContextManager[Installation]]:
    """Return a context manager that yields an `Installation` and stops its workers at the end.

    For fixtures of any scope: tests that can share a worker do, since each takes seconds to start.
    """

    @contextmanager
    def make(broker_url: str | None = None, **settings: str) -> Iterator[Installation]:
        if database_kind == _POSTGRESQL and "NIGHTSHIFT_DATABASE_URL" not in settings:
            server_of_it = request.getfixturevalue("postgres")
            settings["NIGHTSHIFT_DATABASE_URL"] = server_of_it.create(request.getfixturevalue("migrated_template"))
        made = Installation(tmp_path_factory.mktemp("nightshift"), broker_url or server.url(next(numbers)), **settings)
        _open.append(made)
        try:
            yield made
        finally:
            made.close()
            _open.remove(made)

    return make


@pytest.fixture
def nightshift(installation: Callable[..., Any]) -> Iterator[Installation]:
    """Give a test an installation of its own; a module that shares one overrides this fixture."""
    with installation() as made:
        yield made


@pytest.fixture
def data_dir(nightshift: Installation) -> Path:
    return nightshift.data_dir


@pytest.fixture
def environment(nightshift: Installation) -> dict[str, str]:
    """Return the variables that producer and worker run with."""
    return nightshift.environment


@pytest.fixture
def producer(nightshift: Installation) -> Callable[..., subprocess.CompletedProcess[str]]:
    return nightshift.producer


@pytest.fixture
def start_worker(nightshift: Installation) -> Callable[..., WorkerProcess]:
    return nightshift.start_worker


@pytest.fixture
def wait_until(nightshift: Installation) -> Callable[[Callable[[], _Value], str], _Value]:
    return nightshift.wait_until


@pytest.fixture
def elsewhere(nightshift: Installation, tmp_path: Path) -> dict[str, str]:
    """Return what makes a worker one of another host: its own locks, and the first one's pictures and rows."""
    (nightshift.data_dir / "pictures").mkdir(parents=True)
    (tmp_path / "pictures").symlink_to(nightshift.data_dir / "pictures")
    return {"NIGHTSHIFT_DATA_DIR": str(tmp_path), "NIGHTSHIFT_DATABASE_URL": nightshift.database_url}


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    pytest.importorskip("psycopg", reason="psycopg, PostgreSQL's driver, is not installed")
    binaries = postgres_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed: initdb is neither on PATH nor below /usr/lib/postgresql")
    # Not below pytest's own folder, which other users may not enter; and a socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="nightshift-pg-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(binaries, Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """The object store that tests share, each with a place of its own."""
    server = S3Server()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def migrated_template(postgres: PostgresServer) -> str:
    """Migrate one database, of which each test gets a copy."""
    url = postgres.create()
    engine = create_engine(url)
    with engine.connect() as connection, connection.begin():
        upgrade(connection)
    engine.dispose()
    return url.partition("?")[0].rpartition("/")[2]


@pytest.fixture(scope="session")
def settings() -> Callable[..., Settings]:
    """Return a maker of settings that reads no .env file, and has nothing tuned unless it is said."""
    return lambda **values: Settings(_env_file=None, **{"tuning": False} | values)


@pytest.fixture
def openmp(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """See that nothing is set of OpenMP, by whoever runs the tests either."""
    for name in [name for name in os.environ if name.startswith(("OMP_", "GOMP_", "KMP_"))]:
        monkeypatch.delenv(name)
    return monkeypatch
