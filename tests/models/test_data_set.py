"""Data sets of pictures and captions, in the layouts that people have them in."""

import json

import pytest
from PIL import Image

from models.training.data_set import CaptionedPicture, check_data_set, read_data_set
from models.types.errors import BadInputError


@pytest.fixture
def put(tmp_path):
    """Return a function that puts a picture into the folder, with a caption beside it or without."""

    def write(name, caption=None, end=".txt"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), "red").save(file)
        if caption is not None:
            file.with_suffix(end).write_text(caption)
        return file

    return write


def metadata(folder, *rows):
    (folder / "metadata.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def problems(folder):
    with pytest.raises(BadInputError) as caught:
        check_data_set(folder)
    return caught.value.problems


def test_an_imagefolder_with_what_is_held_out(tmp_path, put):
    files = [put("train/a.png"), put("train/b.png")]
    metadata(tmp_path / "train", {"file_name": "a.png", "text": "a"}, {"file_name": "b.png", "text": "b", "seed": 1})
    other = put("test/c.png")
    metadata(tmp_path / "test", {"file_name": "c.png", "text": "c"})
    found = read_data_set(tmp_path)
    assert found.learnt == [CaptionedPicture(files[0], "a"), CaptionedPicture(files[1], "b")]
    assert found.held_out == [CaptionedPicture(other, "c")]


def test_metadata_as_csv_beside_the_pictures(tmp_path, put):
    file = put("a.jpg")
    (tmp_path / "metadata.csv").write_text('file_name,caption\na.jpg,"red, on white"\n')
    assert read_data_set(tmp_path).learnt == [CaptionedPicture(file, "red, on white")]


def test_kohyas_folders_repeat_and_lend_their_words(tmp_path, put):
    own = put("train/10_sks shoe/a.png", "a red\nshoe")
    lent = put("train/3_sks boot/b.png")
    # As `producer export --format kohya` writes it.
    metadata(tmp_path, {"key": "a"})
    assert read_data_set(tmp_path).learnt == [
        CaptionedPicture(own, "a red shoe", 10),
        CaptionedPicture(lent, "sks boot", 3),
    ]


def test_pictures_with_text_files_beside_them(tmp_path, put):
    files = [put("a.png", "a"), put("b.WEBP", "b", ".caption")]
    (tmp_path / "notes.txt").write_text("no picture")
    assert [(one.file, one.caption) for one in read_data_set(tmp_path).learnt] == [(files[0], "a"), (files[1], "b")]


def test_one_picture_is_a_data_set(tmp_path, put):
    put("a.png", "a")
    assert len(read_data_set(tmp_path).learnt) == 1


def test_each_picture_that_cannot_be_used_is_named_at_once(tmp_path, put):
    put("a.png", "a")
    put("b.png")
    cut = put("c.png", "c")
    cut.write_bytes(cut.read_bytes()[:45])
    (tmp_path / "d.png").write_text("no picture")
    (tmp_path / "d.txt").write_text("d")
    (tmp_path / "e.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    (tmp_path / "e.txt").write_text("e")
    found = problems(tmp_path)
    assert len(found) == 4
    assert f"{tmp_path}/b.png has no caption: write it into b.txt beside it" in found
    assert any(line.startswith(f"{cut} is no whole picture") for line in found)
    for name in ("d.png", "e.heic"):
        assert f"{tmp_path}/{name} cannot be read as a picture: save it anew, as PNG or JPEG" in found


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"text": "a"}, "file_name is missing"),
        ({"file_name": "a.png"}, "it has no caption; the column is called text or caption or prompt"),
        ({"file_name": "../a.png", "text": "a"}, "leads out of the folder"),
        ({"file_name": "none.png", "text": "a"}, "none.png is not there"),
        ([], "file_name is missing"),
    ],
)
def test_a_line_of_metadata_that_cannot_be_used_is_named(tmp_path, put, row, what):
    put("a.png")
    metadata(tmp_path, row)
    (problem,) = problems(tmp_path)
    assert what in problem


def test_metadata_that_is_none_is_said(tmp_path, put):
    put("a.png")
    (tmp_path / "metadata.jsonl").write_text("{")
    (problem,) = problems(tmp_path)
    assert "metadata.jsonl cannot be read" in problem


def test_a_folder_without_pictures_and_one_that_is_not_there(tmp_path):
    assert problems(tmp_path) == [f"{tmp_path} holds no picture (.png, .jpg, .jpeg, .webp, .bmp)"]
    assert problems(tmp_path / "none") == [f"{tmp_path}/none is no folder: --data names one with pictures, or a batch"]


def test_of_many_problems_some_are_told(tmp_path, put):
    for number in range(25):
        put(f"{number}.png")
    found = problems(tmp_path)
    assert len(found) == 21
    assert found[-1] == "… and 5 more"


def test_a_caption_may_be_empty_where_that_is_said_and_a_picture_may_have_several(tmp_path, put):
    file = put("a.png")
    metadata(tmp_path, {"file_name": "a.png", "text": ""}, {"file_name": "a.png", "text": "a"})
    assert read_data_set(tmp_path).learnt == [CaptionedPicture(file, ""), CaptionedPicture(file, "a")]
    (tmp_path / "metadata.jsonl").unlink()
    (tmp_path / "metadata.csv").write_text("file_name,text\na.png,\n")
    assert "it has no caption" in problems(tmp_path)[0]


def test_a_picture_of_several_captions_is_looked_at_once(tmp_path, put):
    files = [put("train/a.png"), put("test/b.png")]
    metadata(tmp_path / "train", *({"file_name": "a.png", "text": f"caption {number}"} for number in range(3)))
    metadata(tmp_path / "test", {"file_name": "b.png", "text": "b"})
    told = []
    found = check_data_set(tmp_path, told.append)
    assert (len(found.learnt), len(found.held_out)) == (3, 1)
    assert found.sizes == dict.fromkeys(files, (8, 8))
    assert told == [1, 1]


def test_what_was_checked_before_is_read_without_opening_a_picture(tmp_path, put):
    file = put("a.png", "a")
    file.write_text("no picture")
    assert read_data_set(tmp_path).learnt == [CaptionedPicture(file, "a")]
    assert len(problems(tmp_path)) == 1


@pytest.mark.parametrize("name", ["metadata.jsonl", "metadata.csv", "a.txt"])
def test_what_windows_programs_write_before_a_text_is_no_part_of_it(tmp_path, put, name):
    file = put("a.png")
    text = {
        "metadata.jsonl": '{"file_name": "a.png", "text": "a shoe"}\n',
        "metadata.csv": "file_name,text\na.png,a shoe\n",
        "a.txt": "a shoe",
    }
    (tmp_path / name).write_text(text[name], encoding="utf-8-sig")
    assert read_data_set(tmp_path).learnt == [CaptionedPicture(file, "a shoe")]
