"""What PostgreSQL is asked for beside SQL: limits of time, few connections, nothing that a pgbouncer would mix up."""

import re
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from pgbouncer import Pgbouncer
from sqlalchemy import create_engine, text

from models.records import claims
from models.records.database import Database
from models.types.errors import DatabaseBusyError, DatabaseError

THREADS = 8
LIMITS = {"statement_timeout": "2min", "idle_in_transaction_session_timeout": "2min", "lock_timeout": "7s"}


@pytest.fixture
def url(postgres, migrated_template):
    return postgres.create(migrated_template)


@pytest.fixture
def database(url):
    made = Database(url, busy_timeout_s=7)
    yield made
    made.close()


@pytest.fixture
def behind_pgbouncer(postgres, url):
    """Give a database of which two connections are shared by whoever comes."""
    with tempfile.TemporaryDirectory(prefix="nightshift-pg-") as folder:
        made = Pgbouncer(postgres, url, Path(folder), connections=2)
        made.start()
        database = Database(made.url)
        yield database
        database.close()
        made.stop()


def busy(database, call):
    """Return what is said of a transaction that is worth trying again."""
    with pytest.raises(DatabaseBusyError) as caught, database.writing() as session:
        call(session)
    return str(caught.value)


def answer(database):
    with database.reading() as session:
        return session.scalar(text("SELECT 1"))


def show(session, name):
    return session.scalar(text(f"SHOW {name}"))


def test_each_transaction_has_its_limits_and_its_isolation(database):
    with database.writing() as session:
        assert {name: show(session, name) for name in LIMITS} == LIMITS
        assert (show(session, "transaction_isolation"), show(session, "transaction_read_only")) == (
            "read committed",
            "off",
        )
    with database.reading() as session:
        assert {name: show(session, name) for name in LIMITS} == LIMITS
        assert (show(session, "transaction_isolation"), show(session, "transaction_read_only")) == (
            "repeatable read",
            "on",
        )


def test_nothing_of_them_stays_with_the_connection(database):
    with database.writing() as session:
        session.execute(text("SELECT 1"))
    with database._backend.writer.connect() as connection:
        raw = connection.connection.driver_connection
        raw.rollback()
        assert raw.execute("SHOW statement_timeout").fetchone() == ("0",)
        raw.rollback()


def test_what_takes_too_long_is_tried_again_and_says_so(database):
    def take_long(session):
        session.execute(text("SET LOCAL statement_timeout = 20"))
        session.execute(text("SELECT pg_sleep(60)"))

    assert "statement timeout. It took longer than" in busy(database, take_long)
    assert answer(database) == 1


def test_a_row_that_another_holds_is_waited_for_no_longer_than_is_said(url, database):
    impatient = Database(url, busy_timeout_s=0.05)
    with database.writing() as session:
        session.execute(text("LOCK TABLE jobs"))
        said = busy(impatient, lambda session: session.execute(text("UPDATE jobs SET steps = 3")))
    impatient.close()
    assert "lock timeout. Another program holds" in said


def test_a_transaction_that_its_program_forgets_is_ended_by_the_server(database):
    def forget(session):
        (mine,) = session.execute(text("SELECT pg_backend_pid()")).one()
        session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 1"))
        there = True
        while there:
            with database.reading() as other:
                there = other.scalar(text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid"), {"pid": mine})
        session.execute(text("SELECT 1"))

    assert "idle-in-transaction timeout" in busy(database, forget)
    assert answer(database) == 1


def test_connections_beyond_two_are_closed_after_use(postgres, url, database):
    together = threading.Barrier(THREADS)

    def use():
        with database.reading() as session:
            session.execute(text("SELECT 1"))
            together.wait()

    threads = [threading.Thread(target=use) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine = create_engine(postgres.url("postgres"))
    name = url.partition("?")[0].rpartition("/")[2]
    count = text("SELECT count(*) FROM pg_stat_activity WHERE datname = :name")
    with engine.connect() as connection:
        # A server's process ends a moment after its connection.
        while (found := connection.scalar(count, {"name": name})) > 2:
            connection.rollback()
    engine.dispose()
    assert found == 2


def test_behind_a_pgbouncer_transactions_mix_up_nothing(records, behind_pgbouncer, boot):
    messages = records.messages(records.batch(jobs=THREADS * 10))
    got, said = [], set()

    def claim_some(mine):
        for message in mine:
            with behind_pgbouncer.writing() as session:
                got.extend(claim.job_id for claim in claims.claim(session, message, boot))
            with behind_pgbouncer.reading() as session:
                said.add((show(session, "transaction_isolation"), show(session, "lock_timeout")))

    threads = [threading.Thread(target=claim_some, args=[messages[n::THREADS]]) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [message.job for message in messages]
    assert said == {("repeatable read", "30s")}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://host/night", "mysql is not supported; sqlite and postgresql are"),
        ("postgresql+psycopg2://host/night", "write postgresql:// in place of postgresql+psycopg2://"),
    ],
)
def test_what_is_not_supported_is_named(url, said):
    with pytest.raises(DatabaseError, match=f"NIGHTSHIFT_DATABASE_URL={re.escape(url)}: {re.escape(said)}"):
        Database(url)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_url_may_be_written_as_other_programs_write_it(url, scheme):
    made = Database(url.replace("postgresql+psycopg", scheme, 1))
    assert answer(made) == 1
    made.close()


def test_without_the_driver_it_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "psycopg"]:
        monkeypatch.delitem(sys.modules, name)
    # What an import finds where there is none.
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DatabaseError, match=r"its driver: pip install 'nightshift\[postgresql\]'") as caught:
        Database("postgresql://host/night")
    assert "\n" not in str(caught.value)


def test_two_who_migrate_at_once_do_it_once(postgres):
    url, found = postgres.create(), []

    def migrate():
        made = Database(url, migrate=True)
        found.append(made.revision())
        made.close()

    threads = [threading.Thread(target=migrate) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert len(set(found)) == 1
