"""What a row calls its picture reaches no other file, whoever wrote the row."""

import pytest

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


@pytest.mark.parametrize("number", [1, 2, 17])
@pytest.mark.parametrize("rejected", [True, False])
def test_its_own_names_are_known(tmp_path, number, rejected):
    name = picture_name(12, 345, number=number, rejected=rejected)
    assert FolderStore(tmp_path).path(name) == tmp_path / name
    assert standing_name(standing_name(name, rejected=True), rejected=rejected) == name
    assert is_first_name(name) is (number == 1)
