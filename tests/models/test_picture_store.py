"""The store of pictures: a picture is there whole, under its name, or not at all."""

from pathlib import Path

import pytest

from models.pictures.folder import FolderAside, FolderStore
from models.pictures.names import picture_name
from models.types.errors import StorageError


def write_picture(path, content):
    aside = FolderAside(path, 7, path.parent)
    try:
        aside.write(content)
        with aside.put_in_place():
            pass
    finally:
        aside.remove()


def test_a_picture_is_written_with_its_folders(tmp_path):
    path = FolderStore(tmp_path).path(picture_name(12, 345))
    write_picture(path, b"content")
    assert path.relative_to(tmp_path) == Path("pictures", "batch-0012", "job-00000345.png")
    assert path.read_bytes() == b"content"
    assert [p.name for p in path.parent.iterdir()] == ["job-00000345.png"]


def test_a_picture_that_is_made_again_takes_the_place_of_the_first(tmp_path):
    for content in (b"first", b"second"):
        write_picture(tmp_path / "x.png", content)
    assert (tmp_path / "x.png").read_bytes() == b"second"


def test_a_file_where_the_folder_should_be_is_an_error_and_stays(tmp_path):
    (tmp_path / "pictures").write_text("in the way")
    with pytest.raises(StorageError, match=r"pictures/x.png cannot be written"):
        write_picture(tmp_path / "pictures" / "x.png", b"content")
    assert [p.name for p in tmp_path.iterdir()] == ["pictures"]
    assert (tmp_path / "pictures").read_text() == "in the way"


def test_a_folder_where_the_picture_should_be_is_an_error_and_leaves_nothing_behind(tmp_path):
    (tmp_path / "x.png").mkdir()
    with pytest.raises(StorageError):
        write_picture(tmp_path / "x.png", b"content")
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full for a disk that is full")
def test_a_full_disk_leaves_the_old_picture_and_no_half_of_the_new_one(tmp_path):
    path = tmp_path / "x.png"
    write_picture(path, b"first")
    # Writing goes through the link to a device that is always full.
    (tmp_path / ".x.png.7").symlink_to("/dev/full")
    with pytest.raises(StorageError, match=r"No space left on device.*free some space"):
        write_picture(path, b"second")
    assert path.read_bytes() == b"first"
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"]


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path)


def test_what_attempts_left_aside_is_found_by_their_numbers_and_nothing_else_is(store, tmp_path):
    wrote = {number: store.aside(picture_name(1, number), number) for number in (3, 14)}
    for aside in wrote.values():
        aside.write(b"x")
    noted = store.aside(picture_name(1, 6), 6)
    noted.write_note(b"{}")
    write_picture(store.path(picture_name(1, 5)), b"x")
    (Path(store.shown_folder(1)) / ".job-00000005.png.swp").write_text("an editor's")
    (tmp_path / "pictures" / ".DS_Store").write_text("the Finder's")
    assert store.asides() == wrote | {6: noted}
    assert [aside.is_there for aside in (*wrote.values(), noted)] == [True, True, False]


def test_a_note_is_read_back_and_goes_with_its_picture(store):
    aside = store.aside(picture_name(1, 3), 3)
    aside.write(b"x")
    aside.write_note(b"what is known of it")
    assert aside.read_note() == b"what is known of it"
    aside.remove()
    assert list(Path(store.shown_folder(1)).iterdir()) == []
    with pytest.raises(FileNotFoundError):
        aside.read_note()


def test_a_picture_is_read_back_as_long_as_it_is_there(store):
    name, other = picture_name(1, 5), picture_name(1, 6)
    for number, each in enumerate((name, other)):
        write_picture(store.path(each), b"picture %d" % number)
    assert store.read(name) == b"picture 0"
    store.path(name).unlink()
    with pytest.raises(StorageError, match=r"job-00000005\.png cannot be read \(No such file or directory\)"):
        store.read(name)
    assert store.read(other) == b"picture 1"
