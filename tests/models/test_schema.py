"""The schema: what the tables declare is what the migrations make, and no migration loses a row."""

from datetime import UTC, datetime

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, Table, create_engine, inspect, select, text
from sqlalchemy.orm import Session
from sqlite_steps import steps

from models.records.backends.migrating import migration_config, upgrade
from models.records.database import Database
from models.records.tables import SCHEMA_VERSION
from models.records.tables.columns import Base

SCRIPT = ScriptDirectory.from_config(migration_config())
#: Columns that a later version calls by another name.
RENAMED = {("attempts", "check_s"): "validate_s"}
#: Columns that a later version has as a part of another one.
FOLDED = {
    ("loads", "attention_slicing"): (
        "tuning",
        lambda sliced: None if sliced is None else {"attention_slicing": sliced},
    )
}
REVISIONS = [step.revision for step in reversed(list(SCRIPT.walk_revisions()))]
#: Each on each database; on PostgreSQL `make test` has the first and the last.
EVERY = [
    *(("sqlite", revision) for revision in REVISIONS),
    *(
        pytest.param("postgresql", revision, marks=[pytest.mark.slow] if revision in REVISIONS[1:-1] else [])
        for revision in REVISIONS
    ),
]


@pytest.fixture
def engine(empty_url):
    """An engine on a database without a schema."""
    made = create_engine(empty_url)
    yield made
    made.dispose()


def move(engine, revision, *, down=False):
    with engine.connect() as connection, connection.begin():
        if not down:
            upgrade(connection, revision)
            return
        config = migration_config()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def differences(engine):
    """Return what `alembic revision --autogenerate` would write down."""
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)


def tables_of(engine) -> list[Table]:
    """Return the tables that are there, each after those that it refers to."""
    metadata = MetaData()
    metadata.reflect(engine)
    return [table for table in metadata.sorted_tables if table.name != "alembic_version"]


def filled(table, number):
    """Return a row with a value of its own in every column."""
    return {column.name: value_for(column, number) for column in table.columns}


def value_for(column, number):
    if column.primary_key or column.foreign_keys:
        return number
    moment = datetime(2026, 1, number, 12, 30, 15, 123456, tzinfo=UTC)
    values = {
        bool: number == 1,
        int: 1000 + number,
        float: number + 0.5,
        bytes: bytes([number]),
        # JSON, which may be anything.
        object: {"torch": str(number)},
        datetime: moment if getattr(column.type, "timezone", False) else moment.replace(tzinfo=None),
        # As short as the shortest column needs it.
        str: f"{column.name[:10]} {number}",
    }
    return values[column.type.python_type]


def fill(engine):
    """Write two rows into each table, the second with nothing where nothing may stand; return all rows by table."""
    written = {}
    with engine.begin() as connection:
        for table in tables_of(engine):
            full, sparse = filled(table, 1), filled(table, 2)
            sparse |= {column.name: None for column in table.columns if column.nullable and not column.foreign_keys}
            connection.execute(table.insert(), [full, sparse])
            written[table.name] = [full, sparse]
    return written


def read_back(engine):
    found = {}
    with engine.connect() as connection:
        for table in tables_of(engine):
            rows = connection.execute(select(table).order_by(table.c.id)).mappings()
            found[table.name] = [dict(row) for row in rows]
    return found


def test_what_is_declared_is_what_the_migrations_make(engine):
    # Without a schema everything differs, or the comparison would be blind.
    assert len(differences(engine)) >= len(Base.metadata.tables)
    move(engine, "head")
    assert differences(engine) == []


def test_the_versions_are_one_line_without_branches():
    assert SCRIPT.get_heads() == [REVISIONS[-1]] == [SCHEMA_VERSION]
    assert SCRIPT.get_bases() == [REVISIONS[0]]


@pytest.mark.parametrize(("empty_url", "revision"), EVERY, indirect=["empty_url"])
def test_a_filled_database_of_every_version_comes_to_head_with_its_rows(engine, revision):
    move(engine, revision)
    written = fill(engine)
    assert set(written) <= set(Base.metadata.tables)
    move(engine, "head")
    found = read_back(engine)
    for name, rows in written.items():
        for before, after in zip(rows, found[name], strict=True):
            # What a later version adds may have any value; what was there keeps its own.
            kept = {column: value for column, value in before.items() if (name, column) not in FOLDED}
            assert {column: after[RENAMED.get((name, column), column)] for column in kept} == kept
            for column in before.keys() - kept.keys():
                into, as_part = FOLDED[name, column]
                assert after[into] == as_part(before[column])
    assert differences(engine) == []
    database = Database(engine.url.render_as_string(hide_password=False))
    assert database.revision() == REVISIONS[-1]
    database.close()


def test_the_way_down_to_nothing_and_up_again(engine):
    for _ in range(2):
        move(engine, "head")
        assert differences(engine) == []
        fill(engine)
        for revision in reversed(["base", *REVISIONS[:-1]]):
            move(engine, revision, down=True)
        assert inspect(engine).get_table_names() == ["alembic_version"]


def test_sqlite_comes_to_head_by_itself_and_keeps_what_is_there(sqlite_url):
    engine = create_engine(sqlite_url)
    move(engine, REVISIONS[0])
    written = fill(engine)
    for _ in range(2):
        database = Database(sqlite_url)
        assert database.revision() == REVISIONS[-1]
        database.close()
    assert differences(engine) == []
    assert {name: len(rows) for name, rows in read_back(engine).items() if name in written} == dict.fromkeys(written, 2)
    engine.dispose()


def test_a_migration_that_fails_leaves_the_database_as_it_was(sqlite_url):
    engine = create_engine(sqlite_url)
    with engine.begin() as connection:
        # The last table that the first version makes is in the way.
        connection.exec_driver_sql("CREATE TABLE attempts (id INTEGER)")
    with pytest.raises(Exception, match="table attempts already exists"):
        Database(sqlite_url)
    assert inspect(engine).get_table_names() == ["attempts"]
    engine.dispose()


def queue_jobs(engine, batches, jobs):
    """Write that many batches of that many queued jobs, one batch behind the other."""
    metadata = MetaData()
    metadata.reflect(engine)
    batch, job = metadata.tables["batches"], metadata.tables["jobs"]
    with engine.begin() as connection:
        names = [{"id": number, "uid": f"u{number}", "name": str(number)} for number in range(1, batches + 1)]
        connection.execute(batch.insert(), [filled(batch, 1) | name for name in names])
        usual = filled(job, 1) | {"boot_id": None, "state": "queued", "finished_at": None, "replaces": None}
        rows = [usual | {"id": number + 1, "batch_id": number // jobs + 1} for number in range(batches * jobs)]
        connection.execute(job.insert(), rows)


def test_jobs_that_wait_get_turns_by_their_place_in_their_batches(engine):
    move(engine, "0018")
    queue_jobs(engine, batches=3, jobs=4)
    move(engine, "0019")
    with engine.connect() as connection:
        turns = connection.execute(text("SELECT turn FROM jobs ORDER BY id")).scalars().all()
    assert turns == [0, 1, 2, 3] * 3


def test_a_long_queue_gets_its_turns_in_as_many_steps_as_it_is_long(tmp_path):
    taken = {}
    for jobs in (1_000, 4_000):
        engine = create_engine(f"sqlite:///{tmp_path / str(jobs)}.db")
        move(engine, "0018")
        queue_jobs(engine, batches=1, jobs=jobs)
        with engine.connect() as connection, connection.begin():
            # By way of a session of the same connection: what is counted is all that SQLite does on it.
            taken[jobs] = steps(Session(connection), lambda session: upgrade(session.connection(), "0019"))
        engine.dispose()
    assert taken[4_000] < 6 * taken[1_000]
