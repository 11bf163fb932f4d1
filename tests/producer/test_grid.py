"""Contact sheets: every picture once, where its attributes say, with its caption under it."""

import numpy as np
import pytest
from installation import Installation
from PIL import Image

from producer.exports.contact_sheet import Cell, Row, pages, rows_by_attribute, rows_of

TEMPLATE = "${colour=!{red|blue}}a photo of ${colour} ${kind=!{boots|loafers|sneakers}}${kind} on white background"


def cell(number):
    return Cell(None, f"job {number}")


def test_there_is_a_column_for_each_value_and_a_block_of_rows():
    red, blue = {"colour": "red", "kind": "boot"}, {"colour": "blue", "kind": "boot"}
    loafer = {"colour": "blue", "kind": "loafer"}
    cells = [(cell(1), red), (cell(2), blue), (cell(3), red), (cell(4), loafer), (cell(5), {"kind": "boot"})]
    assert rows_by_attribute(cells, "kind", "colour") == [
        Row([cell(1), cell(2), cell(5)], "boot"),
        Row([cell(3), None, None]),
        Row([None, cell(4), None], "loafer"),
    ]
    assert rows_by_attribute(cells[:3], None, "colour") == [Row([cell(1), cell(2)]), Row([cell(3), None])]


def test_without_attributes_they_stand_in_their_order():
    assert rows_of([cell(number) for number in range(5)], 2) == [
        Row([cell(0), cell(1)]),
        Row([cell(2), cell(3)]),
        Row([cell(4)]),
    ]


def test_many_rows_take_several_pages_and_each_names_its_block(tmp_path):
    rows = [Row([cell(number)], "boots" if number == 0 else "") for number in range(7)]
    drawn = list(pages(rows, ["red"], side=64, most_rows=3))
    assert len(drawn) == 3
    heights = [page.height for page in drawn]
    assert heights[0] == heights[1] > heights[2]
    # The block's label stands at the left of the first row, on the second page too.
    left = [np.asarray(page.crop((0, 20, 30, 60)).convert("L")) for page in drawn]
    assert all(label.min() < 128 for label in left)


@pytest.fixture(scope="module")
def nightshift(installation):
    """Six pictures of two attributes, of which one is rejected."""
    with installation() as made:
        done = made.producer(
            "run", "--prompt", TEMPLATE, "--template", "combinatorial", "--batch", "shoes", "--seed", 1
        )
        assert done.returncode == 0, done.stderr
        assert made.producer("reject", 6).returncode == 0
        yield made


def test_the_accepted_pictures_of_a_batch_are_on_its_sheet(nightshift: Installation, tmp_path):
    file = tmp_path / "sheet.png"
    done = nightshift.producer("grid", "--output", file)
    assert (done.returncode, done.stdout) == (0, f"shoes: 5 pictures on {file}\n")
    with Image.open(file) as sheet:
        sheet.load()
        # Three kinds side by side, two colours below one another.
        assert sheet.width > 3 * 160
        assert 2 * 160 < sheet.height < 3 * 200
        red, green, blue = np.asarray(sheet.convert("RGB")).reshape(-1, 3).T
    assert ((red > 150) & (green < 60) & (blue < 60)).any()
    assert ((blue > 150) & (red < 80)).any()
    wide = nightshift.producer("grid", "shoes", "--columns", 5, "--side", 64, "--output", file)
    assert wide.returncode == 0, wide.stderr
    with Image.open(file) as sheet:
        assert 5 * 64 < sheet.width < 3 * 160
        assert sheet.height < 150


def test_the_rejected_ones_have_a_sheet_of_their_own_and_a_missing_one_its_place(nightshift: Installation, tmp_path):
    file = tmp_path / "rejected.png"
    assert nightshift.producer("grid", "--rejected", "--output", file).stdout == f"shoes: 1 picture on {file}\n"
    picture = nightshift.data_dir / nightshift.jobs()[0].picture
    content = picture.read_bytes()
    picture.unlink()
    try:
        assert "5 pictures on" in nightshift.producer("grid", "--output", file).stdout
    finally:
        picture.write_bytes(content)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("nope",), 2, "producer: there is no batch 'nope'"),
        (("--side", "5"), 2, "5 is not in the range"),
        (("--output", "/nowhere/x.png"), 1, "producer: /nowhere/x.png cannot be written (No such file or directory)"),
    ],
)
def test_what_cannot_be_is_one_line(nightshift: Installation, arguments, status, said):
    done = nightshift.producer("grid", *arguments)
    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_batch_without_pictures_says_so(nightshift: Installation):
    nightshift.enqueue("--prompt", "a boot", "--batch", "later")
    done = nightshift.producer("grid", "later")
    assert (done.returncode, done.stderr) == (2, "producer: later: no picture is there yet\n")


def test_coverage_says_what_is_missing(nightshift: Installation):
    lines = [line.split() for line in nightshift.producer("coverage", "shoes").stdout.splitlines()]
    assert lines[0] == ["colour", "kind", "asked", "accepted", "missing", "to", "come", "rejected", "why"]
    assert ["red", "boots", "1", "1", "0", "0", "0"] in lines
    assert ["blue", "sneakers", "1", "0", "1", "0", "1", "person", "1"] in lines
    assert ["all", "6", "5", "1", "0", "1", "person", "1"] in lines
    found = nightshift.read_json("coverage", "shoes")
    assert found["batch"] == "shoes"
    assert [row["missing"] for row in found["combinations"]] == [0, 0, 0, 0, 0, 1]
    nightshift.enqueue("--prompt", "a plain boot", "--batch", "plain")
    assert "no template chose attributes" in nightshift.producer("coverage").stdout
