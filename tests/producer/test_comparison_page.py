"""The page and the sheet of a comparison, the page in a real browser."""

import io
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import CHROMIUM, browser, opened
from made_rows import Made, write_batch
from PIL import Image
from playwright.sync_api import expect

from producer.actions.reports.comparison import Comparison
from producer.page.comparison import write_comparison

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]

RED, DARK, BLUE = (200, 30, 30), (190, 30, 30), (30, 60, 220)
HOSTILE = "</td><script>document.title = 'taken'</script>"


def made(prompt, seed, variant, *arguments, **others):
    return Made(prompt, seed, {"lora": variant}, *arguments, **others)


#: The second variant has no picture of the first prompt's first seed.
PICTURES = [
    made("a red boot", 1, "none", rgb=RED),
    made("a red boot", 2, "none", rgb=RED),
    made("a red boot", 2, "shoes/olive-500", ["colour"], rgb=DARK, total_s=30),
    made("a red boot", 1, "shoes/olive-1000", rgb=RED),
    made("a red boot", 2, "shoes/olive-1000", rgb=BLUE),
    made(HOSTILE, 3, "none", rgb=BLUE),
    made(HOSTILE, 3, "shoes/olive-500", rgb=BLUE),
    made(HOSTILE, 3, "shoes/olive-1000", rgb=RED),
]


@pytest.fixture(scope="module")
def nightshift(installation):
    with installation() as installed:
        write_batch(installed, "loras", PICTURES)
        yield installed


@pytest.fixture(scope="module")
def chromium():
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def written(nightshift, tmp_path_factory):
    file = tmp_path_factory.mktemp("page") / "loras.html"
    done = nightshift.producer("compare", "loras", "--html", file)
    assert done.returncode == 0, done.stderr
    assert f"{file}: open it in a browser, and its pictures in loras-pictures beside it" in done.stdout
    return file


@pytest.fixture
def page(written, chromium):
    with opened(chromium, written, viewport={"width": 1400, "height": 1000}) as page:
        yield page


def cells(page):
    rows = [row.locator("td") for row in page.locator(".sides tr:has(th[scope=row])").all()]
    return [[cell.inner_text() for cell in row.all()] for row in rows]


def drawn(page, cell):
    """Return the colour in the middle of a picture as the browser draws it."""
    with Image.open(io.BytesIO(cell.screenshot())) as picture:
        return picture.convert("RGB").getpixel((picture.width // 2, picture.height // 2))


def test_a_picture_stands_in_its_prompts_seeds_and_variants_place(page):
    assert page.locator(".sides thead th").all_inner_texts() == ["none", "shoes/olive-500", "shoes/olive-1000"]
    assert page.locator(".sides th[scope=rowgroup]").all_inner_texts() == ["a red boot", HOSTILE]
    assert page.locator(".sides th[scope=row]").all_inner_texts() == ["seed 1", "seed 2", "seed 3"]
    said = cells(page)
    assert said[0][1] == "not made"
    assert ["rejected" in one for one in said[1]] == [False, True, False]
    assert "rejected: colour, 30.00 s" in said[1][1]
    assert page.title() == "Comparison loras · Nightshift"


def test_it_says_what_the_checks_say(page):
    cell = page.locator(".sides td", has_text="rejected")
    cell.locator("summary").click()
    expect(cell.locator("details p.against")).to_have_text(re.compile("colour: "))


def test_its_figures_and_its_verdict_are_those_of_the_terminal(nightshift, page):
    shown = " ".join(nightshift.producer("compare", "loras").stdout.split())
    for row in page.locator(".wide tbody tr").all():
        assert " ".join(" ".join(row.locator("th, td").all_inner_texts()).split()) in shown
    assert page.locator("header p").first.inner_text() in shown


def test_the_difference_to_the_first_is_drawn_when_it_is_asked_for(page):
    second = page.locator(".sides tr", has_text="seed 2").locator(".side")
    assert drawn(page, second.nth(1)) == pytest.approx(DARK, abs=6)
    page.get_by_label("Show how each differs from none").check()
    expect(second.nth(1).locator(".first")).to_be_visible()
    # Three times as bright: 10 of red.
    assert drawn(page, second.nth(1)) == pytest.approx((30, 0, 0), abs=12)
    assert drawn(page, page.locator(".sides tr", has_text="seed 1").locator(".side").nth(1)) == (0, 0, 0)
    assert drawn(page, second.nth(0)) == pytest.approx(RED, abs=6)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(written, chromium, scheme):
    with opened(chromium, written, color_scheme=scheme) as page:
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


def test_all_in_one_file(nightshift, chromium, tmp_path):
    file = tmp_path / "one.html"
    assert nightshift.producer("compare", "loras", "--html", file, "--inline").returncode == 0
    assert [one.name for one in tmp_path.iterdir()] == ["one.html"]
    with opened(chromium, file) as page:
        assert drawn(page, page.locator(".side").first) == pytest.approx(RED, abs=6)


def test_the_sheet_leaves_a_place_for_what_was_not_made(nightshift, tmp_path):
    done = nightshift.producer("compare", "loras", "--sheet", tmp_path / "s.png")
    assert f"{tmp_path / 's.png'}: 3 rows of 3 variants" in done.stdout
    with Image.open(tmp_path / "s.png") as sheet:
        width = sheet.width
        step, row = 168, 200
        first = width - 3 * step + 80, 8 + 16 + 80
        colours = [[sheet.getpixel((first[0] + step * x, first[1] + row * y)) for x in range(3)] for y in range(3)]
    white = (255, 255, 255)
    assert colours == [[RED, white, RED], [RED, DARK, BLUE], [BLUE, BLUE, RED]]


def test_a_picture_that_is_gone_is_said_and_has_no_difference(nightshift, chromium, tmp_path):
    write_batch(nightshift, "gone", [made("a red boot", 7, variant, rgb=RED) for variant in ("none", "olive", "worn")])
    gone, *_ = nightshift.jobs("gone")
    (nightshift.data_dir / gone.picture).unlink()
    assert nightshift.producer("compare", "gone", "--html", tmp_path / "g.html").returncode == 0
    with opened(chromium, tmp_path / "g.html") as page:
        assert ["not there any more" in text for text in cells(page)[0]] == [True, False, False]
        page.get_by_label("Show how each differs from none").check()
        assert drawn(page, page.locator(".side").nth(1)) == pytest.approx(RED, abs=6)


def test_rows_that_are_left_out_are_counted(tmp_path):
    write_comparison(tmp_path / "l.html", "loras", Comparison([], "Nothing."), [], [], left_out=1234)
    assert "1,234 more are not on this page" in (tmp_path / "l.html").read_text()


def test_what_cannot_be_drawn_is_said(nightshift, tmp_path):
    refused = nightshift.producer("compare", "loras", "--inline")
    assert "--inline is for --html FILE" in refused.stderr
    assert nightshift.producer("compare", "--prompt", "a boot", "--axis", "steps=2,4").returncode == 0
    refused = nightshift.producer("compare", "--html", tmp_path / "x.html")
    assert refused.returncode == 2
    assert "no picture is there yet" in refused.stderr
