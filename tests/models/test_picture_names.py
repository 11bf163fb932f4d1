"""What a row calls its picture reaches no other file, whoever wrote the row."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.pictures.folder import FolderStore
from models.pictures.names import is_first_name, picture_name, standing_name
from models.types.errors import StorageError

BAD = [
    "/etc/passwd", "../outside.png", "pictures/../../outside.png", "pictures/batch-0001/../../nightshift.db", "",
    "nightshift.db", "pictures/batch-0001/job-1.png", "pictures/batch-0001/job-00000001.png\n", "pictures",
    "pictures/batch-0001/x/job-00000001.png", "pictures/batch-0001/job-00000001.PNG", "pictures//job-00000001.png",
    "pictures/batch-0001/job-00000001-.png", "pictures/batch-\u0660001/job-00000001.png",
    "pictures/batch-0001/.job-00000001.png",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize(
    "way", ["path", "where", "read", "has", "remove", "mark", "local_file", "read_thumbnail", "present_name", "shown"]
)
def test_what_is_no_name_of_the_stores_own_is_refused(tmp_path, name, way):
    (tmp_path.parent / "outside.png").write_bytes(b"a person's own")
    with pytest.raises(StorageError, match="is no name of a picture: a row was changed by hand"):
        getattr(FolderStore(tmp_path), way)(name)
    assert (tmp_path.parent / "outside.png").exists()


@pytest.mark.parametrize("name", BAD)
def test_nothing_is_moved_from_there_or_to_there(tmp_path, name):
    store = FolderStore(tmp_path)
    for pair in ((name, picture_name(1, 1)), (picture_name(1, 1), name)):
        with pytest.raises(StorageError, match="is no name of a picture"):
            store.move(*pair)


@given(st.integers(1, 10**6), st.integers(1, 10**9), st.integers(1, 99), st.booleans())
def test_its_own_names_are_known(batch, job, number, rejected):
    name = picture_name(batch, job, number=number, rejected=rejected)
    assert FolderStore(Path("/data")).path(name) == Path("/data", name)
    assert standing_name(standing_name(name, rejected=not rejected), rejected=rejected) == name
    assert is_first_name(name) is (number == 1)


@given(st.text(st.characters(categories=("L", "N", "P", "Z", "C"))) | st.from_regex(r"pictures/[-./\w]*\.png"))
def test_no_text_is_a_name_of_anything_but_a_picture_of_the_store(text):
    store = FolderStore(Path("/data"))
    try:
        path = store.path(text)
    except StorageError:
        return
    assert path == path.resolve()
    assert path.is_relative_to("/data/pictures")
    assert path.suffix == ".png"
