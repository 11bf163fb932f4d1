"""PostgreSQL in SQLite's place: migrated by a person, then the same programs; the other modules here run on both."""

import pytest
from alembic import command
from sqlalchemy import create_engine, select, text

from models.figures.progress import batch_progress
from models.records.backends.migrating import known_versions, migration_config
from models.records.batches import find_batch
from models.records.boots import Machine, record_boot
from models.records.database import Database
from models.records.tables import SCHEMA_VERSION, Attempt, Batch, Boot, Job, Load
from models.types.errors import DatabaseError

#: The version before this one, and a worker of it.
BEFORE = known_versions()[1]
AT_WORK = Machine("tower", 1, "t", "cuda", "a card", "", 8, "float16", 2**34, {}, {})


@pytest.fixture
def url(postgres, migrated_template):
    return postgres.create(migrated_template)


def test_a_database_without_a_schema_says_how_to_migrate_it_and_that_works(postgres, producer):
    url = postgres.create()
    with pytest.raises(DatabaseError) as caught:
        Database(url)
    assert "is at version none, this program needs " in str(caught.value)
    assert "bring the database up with `producer migrate`" in str(caught.value)
    assert postgres.password not in str(caught.value)
    refused = producer("status", NIGHTSHIFT_DATABASE_URL=url)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == f"producer: {caught.value}\n"
    migrated = producer("migrate", NIGHTSHIFT_DATABASE_URL=url)
    assert migrated.returncode == 0, migrated.stderr
    assert migrated.stdout.endswith(f"is at version {SCHEMA_VERSION} now; before, it was empty\n")
    assert postgres.password not in migrated.stdout
    assert producer("status", NIGHTSHIFT_DATABASE_URL=url).returncode == 0
    again = producer("migrate", NIGHTSHIFT_DATABASE_URL=url)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.endswith(f"is at version {SCHEMA_VERSION}: nothing to do\n")


def test_sqlite_is_migrated_too_by_whoever_asks_for_it(producer, data_dir):
    done = producer("migrate")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"is at version {SCHEMA_VERSION} now; before, it was empty\n")
    assert (data_dir / "nightshift.db").exists()


def test_a_worker_and_a_database_of_two_versions_say_which_side_to_bring_up(postgres, installation):
    older = postgres.create()
    made = Database(older, migrate=True)
    with made.writing() as session:
        record_boot(session, AT_WORK)
    made.close()
    engine = create_engine(older)
    with engine.begin() as connection:
        config = migration_config()
        config.attributes["connection"] = connection
        command.downgrade(config, BEFORE)
    with installation(NIGHTSHIFT_DATABASE_URL=older) as nightshift:
        worker = nightshift.start_worker()
        assert worker.wait() == 1
        assert f"is at version {BEFORE}, this program needs {SCHEMA_VERSION}" in worker.log
        assert "bring the database up with `producer migrate`" in worker.log
        assert "Traceback" not in worker.log
        with engine.begin() as connection:
            assert connection.scalar(text("SELECT version_num FROM alembic_version")) == BEFORE
        migrated = nightshift.producer("migrate")
        assert migrated.stdout.endswith(f"is at version {SCHEMA_VERSION} now; before, it was {BEFORE}\n")
        assert "the worker on cuda of tower began before: end it, and start one anew" in migrated.stderr
        nightshift.wait_until_ready(nightshift.start_worker()).stop()
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = 'f00d'"))
        worker = nightshift.start_worker()
        assert worker.wait() == 1
        assert "it was made by a newer one. Upgrade Nightshift on this machine" in worker.log
        for name in ("status", "migrate"):
            assert "it was made by a newer one" in nightshift.producer(name).stderr
    engine.dispose()


def test_a_wrong_password_is_one_line_that_does_not_show_it(postgres, producer):
    done = producer("status", NIGHTSHIFT_DATABASE_URL=postgres.url("postgres", "wrong-secret"))
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "password authentication failed" in line
    assert "wrong-secret" not in line


def test_a_database_that_is_not_there_is_one_line(postgres, producer):
    done = producer("status", NIGHTSHIFT_DATABASE_URL=postgres.url("absent"))
    (line,) = done.stderr.splitlines()
    assert 'database "absent" does not exist' in line
    assert done.returncode == 1


def test_connections_that_the_server_closed_are_made_anew(postgres, url):
    database = Database(url)
    with database.reading() as session:
        assert session.scalar(select(Batch.id)) is None
    engine = create_engine(postgres.url("postgres"))
    with engine.connect() as connection:
        ended = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
        assert connection.execute(ended, {"name": url.partition("?")[0].rpartition("/")[2]}).all()
    engine.dispose()
    with database.reading() as session:
        assert session.scalar(select(Batch.id)) is None
    database.close()


def test_producer_and_worker_work_as_they_do_on_sqlite(installation, url):
    database = Database(url)

    def remaining(name):
        with database.reading() as session:
            return batch_progress(session, find_batch(session, name)).remaining

    with installation(NIGHTSHIFT_DATABASE_URL=url) as nightshift:
        nightshift.enqueue("--prompt", "a red shoe", "--count", "4", "--batch", "red")
        nightshift.enqueue("--prompt", "a boot", "--count", "2", "--batch", "blue")
        assert nightshift.producer("cancel", "blue").stdout.startswith("2 queued jobs cancelled, 0 running")
        assert (remaining("red"), remaining("blue")) == (4, 0)
        worker = nightshift.start_worker()
        nightshift.wait_until(lambda: remaining("red") == 0, "the batch to be finished")
        assert nightshift.producer("retry", "blue", "--cancelled").returncode == 0
        nightshift.wait_until(lambda: remaining("blue") == 0, "the other batch to be finished")
        assert nightshift.read_json("status", "blue")["counts"]["succeeded"] == 2
        assert worker.stop() == 0
        assert "Traceback" not in worker.log
        report, everything = nightshift.read_json("report", "red"), nightshift.read_json("report", "--all")
        assert (report["speed"]["pictures"], everything["speed"]["pictures"]) == (4, 6)
        assert report["speed"]["mean_s"] > 0
        assert report["memory"][0]["peak"] > 0
        assert nightshift.read_json("estimate", "--images", "100")["seconds"] > 0
        assert not (nightshift.data_dir / "nightshift.db").exists()

    with database.reading() as session:
        jobs = list(session.scalars(select(Job).join(Batch).where(Batch.name == "red").order_by(Job.id)))
        attempts = list(session.scalars(select(Attempt).where(Attempt.batch_id == jobs[0].batch_id)))
        (boot,), (load,) = session.scalars(select(Boot)).all(), session.scalars(select(Load)).all()
        ids = {(attempt.boot_id, attempt.load_id) for attempt in attempts}
    database.close()
    assert [(job.state, job.attempts) for job in jobs] == [("succeeded", 1)] * 4
    assert all((nightshift.data_dir / job.picture).is_file() for job in jobs)
    assert ids == {(boot.id, load.id)}
    assert boot.ready_at > boot.started_at
    assert boot.ended_at is not None
