"""What pictures take on the disk: only what is named goes, never a picture that no export has, and rows stay."""

import json

import pytest
from installation import Installation
from made_rows import Made, write_batch
from sqlalchemy import select

from models.pictures.folder import FolderStore
from models.records.removal import leftovers
from models.records.tables import Attempt, Job
from models.types.states import JobState, Outcome
from producer.actions import removal
from producer.actions.progress import unseen


@pytest.fixture
def nightshift(installation):
    """Two batches of four pictures with one rejected each, and one that is not done."""
    with installation() as made:
        for name in ("first", "second"):
            write_batch(made, name, [Made(), Made(seed=2), Made(seed=3), Made(seed=4, against=["centre"])])
        write_batch(made, "going", [Made()])
        with made.database.writing() as session:
            session.add(Job(**_copied(session.scalar(select(Job).where(Job.batch_id == 3)))))
        yield made


def _copied(job: Job) -> dict:
    left_out = ("id", "picture", "state", "finished_at")
    return {column.key: getattr(job, column.key) for column in Job.__table__.columns if column.key not in left_out}


def pictures(nightshift: Installation) -> set[str]:
    folder = nightshift.data_dir / "pictures"
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def export(nightshift: Installation, name: str, *more) -> None:
    done = nightshift.producer("export", name, nightshift.folder / f"set-{name}", *more)
    assert done.returncode == 0, done.stderr


def test_it_shows_and_removes_nothing_by_itself(nightshift: Installation):
    before = pictures(nightshift)
    export(nightshift, "first")
    found = nightshift.read_json("gc")
    assert found["rejected pictures"]["files"] == 2
    assert [(row["batch"], row["files"], row["done"], row["exported"]) for row in found["batches"]] == [
        ("first", 4, True, True),
        ("second", 4, True, False),
        ("going", 1, False, False),
    ]
    # Hard links: the export has three of the four as well.
    first = found["batches"][0]
    one = first["size_bytes"] // 4
    assert (first["freed_bytes"], first["unexported"]) == (one, 0)
    shown = nightshift.producer("gc").stdout
    assert "--batch second" in shown
    assert "3 are not" in shown
    assert "not done yet" in shown
    assert pictures(nightshift) == before


def test_rejected_pictures_of_exported_batches_go(nightshift: Installation):
    export(nightshift, "first")
    before = pictures(nightshift)
    done = nightshift.producer("gc", "--rejected", "--dry-run")
    assert done.stdout.startswith("1 files would be removed")
    assert pictures(nightshift) == before
    done = nightshift.producer("gc", "--rejected")
    assert done.stdout.startswith("1 files removed")
    assert "left, since second is not exported" in done.stdout
    assert before - pictures(nightshift) == {"batch-0001/rejected/job-00000004.png"}
    assert nightshift.producer("gc", "--rejected", "--unexported").returncode == 0
    assert {name for name in pictures(nightshift) if "rejected" in name} == set()
    # They are still counted, and cannot be accepted any more.
    assert "1 rejected" in nightshift.producer("status", "first").stdout
    accepted = nightshift.producer("accept", 4)
    assert (accepted.returncode, accepted.stderr) == (2, "producer: job 4: its picture has been removed\n")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("second", "second: no export has 3 of its accepted pictures"),
        ("going", "going: is not done yet; `producer cancel going` ends it"),
        ("nope", "nope: there is no such batch with pictures"),
    ],
)
def test_a_batch_that_no_export_has_stays(nightshift: Installation, name, said):
    export(nightshift, "first")
    before = pictures(nightshift)
    done = nightshift.producer("gc", "--batch", "first", "--batch", name)
    assert done.returncode == 2
    assert done.stderr.startswith(f"producer: {said}")
    assert pictures(nightshift) == before


def test_of_many_pictures_that_are_gone_an_export_names_some(nightshift: Installation):
    write_batch(nightshift, "gone", [Made(seed=seed) for seed in range(30)], files=False)
    done = nightshift.producer("export", "gone", nightshift.folder / "set-gone")
    *named, more = done.stderr.splitlines()
    assert (done.returncode, len(named), more) == (2, 20, "producer: … and 10 more")
    assert all("is not there any more; bring it back, or `producer reject " in line for line in named)


def test_a_picture_that_is_accepted_after_the_export_is_in_none(nightshift: Installation):
    export(nightshift, "first")
    assert nightshift.producer("accept", 4).returncode == 0
    done = nightshift.producer("gc", "--batch", "first")
    assert "no export has 1 of its accepted pictures" in done.stderr


def test_an_exported_batch_goes_and_its_figures_stay(nightshift: Installation):
    export(nightshift, "first", "--all")
    report = nightshift.read_json("report", "first")
    done = nightshift.producer("gc", "--batch", "first")
    assert done.stdout.startswith("4 files removed")
    assert {name.split("/")[0] for name in pictures(nightshift)} == {"batch-0002", "batch-0003"}
    after = nightshift.read_json("report", "first")
    assert after["speed"] == report["speed"]
    assert len(list((nightshift.folder / "set-first" / "train").glob("*.png"))) == 4
    # Nothing calls them missing, nothing trips over them.
    assert "no longer" not in nightshift.producer("status", "first").stdout
    assert nightshift.producer("show", 1).returncode == 0
    assert nightshift.producer("check", "first").returncode == 0
    assert "removed" in nightshift.producer("export", "first", nightshift.folder / "again").stderr
    gone = nightshift.producer("gc", "--batch", "first")
    assert "there is no such batch with pictures" in gone.stderr


def test_unexported_says_that_they_are_lost_and_takes_them(nightshift: Installation):
    assert nightshift.producer("gc", "--batch", "second", "--unexported").stdout.startswith("4 files removed")
    assert not [name for name in pictures(nightshift) if name.startswith("batch-0002")]


def test_thumbnails_go_and_come_again(nightshift: Installation):
    page = nightshift.folder / "page.html"
    assert nightshift.producer("report", "first", "--html", page).returncode == 0
    assert nightshift.producer("gc", "--thumbnails").stdout.startswith("4 files removed")
    assert list((nightshift.data_dir / "thumbnails").rglob("*.webp")) == []
    assert len(list((nightshift.folder / "page-pictures").iterdir())) == 4
    assert nightshift.producer("report", "first", "--html", page).returncode == 0
    assert len(list((nightshift.data_dir / "thumbnails").rglob("*.webp"))) == 4


def test_leftovers_are_what_nobody_names_any_more(nightshift: Installation):
    store = FolderStore(nightshift.data_dir)
    with nightshift.database.writing() as session:
        over, running = session.scalars(select(Attempt.id).where(Attempt.batch_id == 1).limit(2))
        session.get_one(Attempt, running).outcome = Outcome.RUNNING
        # Of a job that runs, a worker may have named its picture just now.
        job = session.scalar(select(Job).where(Job.batch_id == 2).order_by(Job.id).limit(1))
        job.state, job.picture, at_work = JobState.RUNNING, None, str(job.picture)
        # The rename of a rejected one was cut short: it is under its other name.
        moved = session.scalar(select(Job).where(Job.batch_id == 2, Job.state == JobState.REJECTED))
        rejected = nightshift.data_dir / moved.picture
        rejected.rename(rejected.parent.parent / rejected.name)
        # And this one's picture has been removed, but for the file.
        removed = session.scalar(select(Job).where(Job.batch_id == 1).order_by(Job.id).limit(1))
        removed.picture, stray = None, str(removed.picture)
    for attempt in (over, running):
        store.aside(f"pictures/batch-0001/job-{attempt:08d}.png", attempt).write(b"half")
    unknown = nightshift.data_dir / "pictures" / "batch-0001" / "job-00009999.png"
    unknown.write_bytes(b"of another database")
    (unknown.parent / "notes.txt").write_text("a person's own")
    before = pictures(nightshift)
    assert json.loads(nightshift.producer("gc", "--json").stdout)["leftovers"]["files"] == 2
    assert nightshift.producer("gc", "--leftovers").stdout.startswith("2 files removed")
    gone = before - pictures(nightshift)
    assert gone == {f"batch-0001/.job-{over:08d}.png.{over}", stray.removeprefix("pictures/")}
    assert at_work.removeprefix("pictures/") in pictures(nightshift)


def test_a_leftover_whose_job_was_queued_again_meanwhile_stays(nightshift: Installation):
    """The picture of a retry may get its name between the look and the removal."""
    store = FolderStore(nightshift.data_dir)
    with nightshift.database.writing() as session:
        job = session.scalar(select(Job).where(Job.batch_id == 1).order_by(Job.id).limit(1))
        name, job.picture = str(job.picture), None
        number = job.id
    with nightshift.database.reading() as session:
        stray = leftovers(session, store)
    assert name in stray
    with nightshift.database.writing() as session:
        session.get_one(Job, number).picture = name
    removal._remove(nightshift.database, store, removal._Removal(leftovers=stray), unseen, dry_run=False)
    assert store.path(name).exists()


def test_an_export_of_another_size_is_no_copy(nightshift: Installation):
    export(nightshift, "first", "--size", "16x16")
    refused = nightshift.producer("gc", "--batch", "first")
    assert (refused.returncode, "no export has 3 of its accepted pictures" in refused.stderr) == (2, True)
    assert "left, since first is not exported" in nightshift.producer("gc", "--rejected").stdout


def test_an_export_that_was_there_already_counts_too(nightshift: Installation):
    export(nightshift, "first")
    with nightshift.database.writing() as session:
        for job in session.query(Job).filter_by(batch_id=1):
            job.exported_at = None
    export(nightshift, "first")
    assert nightshift.read_json("gc")["batches"][0]["exported"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--dry-run",), "name what to remove"),
        (("--unexported",), "name what to remove"),
    ],
)
def test_what_cannot_be_is_one_line(nightshift: Installation, arguments, said):
    done = nightshift.producer("gc", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_what_cannot_be_removed_is_named(nightshift: Installation):
    file = nightshift.data_dir / "pictures" / "batch-0001" / "rejected" / "job-00000004.png"
    file.unlink()
    file.mkdir()
    done = nightshift.producer("gc", "--batch", "first", "--unexported")
    assert done.returncode == 1
    assert done.stderr.startswith(f"producer: {file} cannot be removed")
    assert "Traceback" not in done.stderr
