"""A database that was begun anew, or brought back from a copy, beside the pictures of another: they all stay."""

import shutil
from pathlib import Path

import pytest
from faults import faulty, outcomes


@pytest.fixture
def nightshift(installation):
    with faulty(installation) as (made, _):
        yield made


def pictures(nightshift):
    return {file: file.read_bytes() for file in (nightshift.data_dir / "pictures").rglob("*.png")}


def make(nightshift, *asked):
    """Have them made by a worker of their own, which ends then."""
    worker = nightshift.start_worker()
    batch = nightshift.enqueue(*asked)
    jobs = nightshift.wait_until_finished(batch)
    worker.stop()
    return jobs


def close(nightshift):
    nightshift.database.close()
    nightshift._database = None


def database_files(folder: Path):
    return list(folder.glob("nightshift.db*"))


def begin_anew(nightshift):
    close(nightshift)
    for file in database_files(nightshift.data_dir):
        file.unlink()


def assert_beside(nightshift, before, jobs):
    after = pictures(nightshift)
    assert {file: after.get(file) for file in before} == before
    assert {nightshift.data_dir / job.picture for job in jobs} == set(after) - set(before)


REJECTING = ("--checks", "fill.least=0.74")


@pytest.mark.parametrize("first", [(), REJECTING], ids=["accepted", "rejected"])
@pytest.mark.parametrize("second", [(), REJECTING], ids=["accepted", "rejected"])
def test_one_that_is_begun_anew_leaves_the_others_pictures_alone(nightshift, first, second):
    make(nightshift, "--prompt", "a red boot", "--count", 2, "--seed", 1, *first)
    before = pictures(nightshift)
    begin_anew(nightshift)
    # The very same command, so that nothing but the database tells them apart.
    jobs = make(nightshift, "--prompt", "a red boot", "--count", 2, "--seed", 1, *second)
    assert_beside(nightshift, before, jobs)
    assert outcomes(nightshift) == [["succeeded"]] * 2
    # A person who decides otherwise moves the right ones.
    decided = nightshift.producer("accept" if second else "reject", *(job.id for job in jobs))
    assert decided.returncode == 0, decided.stderr
    assert_beside(nightshift, before, nightshift.jobs())
    nothing = nightshift.producer("gc", "--leftovers")
    assert nothing.stdout.startswith("0 files removed"), nothing.stdout
    assert_beside(nightshift, before, nightshift.jobs())


def test_one_that_is_brought_back_leaves_the_pictures_alone_that_came_after_the_copy(nightshift, tmp_path):
    make(nightshift, "--prompt", "a red boot", "--count", 2)
    close(nightshift)
    for file in database_files(nightshift.data_dir):
        shutil.copy(file, tmp_path)
    make(nightshift, "--prompt", "a blue boot", "--count", 2)
    before = pictures(nightshift)
    begin_anew(nightshift)
    for file in database_files(tmp_path):
        shutil.copy(file, nightshift.data_dir)
    assert len(nightshift.jobs()) == 2
    jobs = make(nightshift, "--prompt", "a green boot", "--count", 2)
    after = pictures(nightshift)
    assert {file: after[file] for file in before} == before
    assert len({job.picture for job in jobs} & {str(file.relative_to(nightshift.data_dir)) for file in before}) == 0


def test_the_pictures_of_a_version_that_did_not_mark_them_are_left_alone_too(nightshift):
    folder = nightshift.data_dir / "pictures" / "batch-0001"
    folder.mkdir(parents=True)
    old = folder / "job-00000001.png"
    old.write_bytes(b"of before")
    (job,) = make(nightshift, "--prompt", "a red boot")
    assert job.picture == "pictures/batch-0001/job-00000001-2.png"
    assert nightshift.producer("gc", "--leftovers").stdout.startswith("0 files removed")
    assert old.read_bytes() == b"of before"
