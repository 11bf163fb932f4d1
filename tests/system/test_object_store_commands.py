"""Pictures in an object store: whatever reads pictures reads them from there."""

import io
import json

import pytest
from PIL import Image


@pytest.fixture(scope="module")
def nightshift(installation, s3):
    with installation(**s3.place()) as made:
        worker = made.start_worker()
        made.enqueue("--prompt", "a red boot", "--count", 3, "--batch", "night", "--checks", "product")
        made.wait_until_finished()
        assert worker.stop() == 0
        yield made


@pytest.fixture
def run(nightshift):
    def call(*arguments):
        done = nightshift.producer(*arguments)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    return call


@pytest.fixture
def accepted(nightshift):
    return [job for job in nightshift.jobs() if job.state == "succeeded"]


def test_they_are_there_and_nothing_of_them_is_on_this_disk(nightshift, accepted):
    assert accepted
    made = {job.picture for job in nightshift.jobs() if job.picture}
    assert {name for _, name in nightshift.store.pictures()} == made
    assert list((nightshift.data_dir / "pictures").rglob("*.png*")) == []


def test_show_names_the_object_and_status_misses_none(nightshift, run, accepted):
    url = nightshift.environment["NIGHTSHIFT_PICTURES_URL"]
    job = accepted[0]
    assert f"{url}/{job.picture}" in run("show", job.id)
    assert json.loads(run("show", job.id, "--json"))["path"] == f"{url}/{job.picture}"
    assert json.loads(run("status", "night", "--json"))["missing_pictures"] == 0
    assert f"in {url}" in nightshift.producer("doctor").stdout


def test_a_data_set_a_sheet_and_a_page_are_made_of_them(nightshift, run, accepted, tmp_path):
    run("export", "night", tmp_path / "set")
    exported = sorted((tmp_path / "set").rglob("*.png"))
    assert [file.read_bytes() for file in exported] == [nightshift.store.read(job.picture) for job in accepted]
    run("grid", "night", "--output", tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 128
    run("report", "night", "--html", tmp_path / "page.html")
    small = list((tmp_path / "page-pictures").iterdir())
    assert len(small) == len([job for job in nightshift.jobs() if job.picture])
    with Image.open(small[0]) as thumbnail:
        assert thumbnail.size == (128, 128)


def test_what_a_person_decides_moves_the_object(nightshift, run, accepted):
    job = accepted[0]
    content = nightshift.store.read(job.picture)
    run("reject", job.id)
    (rejected,) = [one for one in nightshift.jobs() if one.id == job.id]
    assert "/rejected/" in rejected.picture
    names = {name for _, name in nightshift.store.pictures()}
    assert rejected.picture in names
    assert job.picture not in names
    run("accept", job.id)
    assert nightshift.store.read(job.picture) == content


def test_they_are_judged_again_and_removed(nightshift, run, accepted):
    assert run("check", "night")
    nightshift.store.write_thumbnail(nightshift.store.thumbnail(1, 99), b"small")
    name = accepted[-1].picture
    # No row names it: it was put there by a worker that was killed.
    stray = "pictures/batch-0001/job-00000001-2.png"
    with Image.open(io.BytesIO(nightshift.store.read(accepted[0].picture))) as picture:
        assert picture.size == (128, 128)
    nightshift.store.create(stray, nightshift.store.read(accepted[0].picture), 99)
    assert run("gc", "--leftovers").startswith("1 file")
    assert nightshift.store.has(name)
    assert not nightshift.store.has(stray)
