"""The page of a report in a real browser: its figures, its gallery, and hostile prompts, which are text."""

import os
import re
import subprocess
import sysconfig

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import CHROMIUM, browser, opened
from installation import Installation
from made_rows import Made, write_batch
from PIL import Image
from playwright.sync_api import expect

from models.records.batches import spec_of
from models.records.tables import Batch
from models.types.states import JobState

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]

RED, BLUE = (200, 30, 30), (30, 60, 220)
#: Half a minute apart, so that a picker of times that knows no less than seconds can tell them apart.
SHOES = [
    Made("a red boot", 1, {"colour": "red", "kind": "boot"}, total_s=30, rgb=RED),
    Made("a red loafer", 2, {"colour": "red", "kind": "loafer"}, total_s=31, rgb=RED),
    Made("a blue boot", 3, {"colour": "blue", "kind": "boot"}, total_s=32, rgb=BLUE),
    Made("a blue loafer", 4, {"colour": "blue", "kind": "loafer"}, ["centre"], total_s=33, rgb=BLUE),
    Made("a blue boot on a table", 5, {"colour": "blue", "kind": "boot"}, ["centre", "edge"], total_s=34, rgb=BLUE),
]
HOSTILE = [
    "<script>document.title = 'taken'</script>",
    "</script><script>document.title = 'taken'</script>",
    "<img src=x onerror=\"document.title='taken'\">",
    '"><svg onload=alert(1)>',
    "<!-- <script> --> ]]>",
    "{{ 7 * 7 }} {% raw %} ${7*7} `uname`",
    'it\'s $(touch taken) "quoted" \\ & ; | > taken \n second line',
    "-rf --seed 7",
    "\u202eright to left\u2066 \u2028 \u0007",
]


@pytest.fixture(scope="module")
def chromium():
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def nightshift(installation):
    with installation() as made:
        write_batch(made, "shoes", SHOES)
        assert made.producer("accept", 3).returncode == 0
        yield made


def written(nightshift: Installation, file, *arguments):
    done = nightshift.producer("report", *arguments, "--html", file)
    assert (done.returncode, done.stderr) == (0, "")
    return file


@pytest.fixture(scope="module")
def night(nightshift: Installation, tmp_path_factory):
    """The page of the shoes, for tests that only look at it."""
    return written(nightshift, tmp_path_factory.mktemp("page") / "night.html", "shoes")


@pytest.fixture
def page(night, chromium):
    with opened(chromium, night, timezone_id="UTC") as page:
        yield page


def shown_jobs(page) -> list[int]:
    return [int(re.search(r"job (\d+)", text)[1]) for text in page.locator(".tile").all_inner_texts()]


def expect_jobs(page, jobs: list[int]) -> None:
    """Wait until the page shows these jobs, in this order."""
    expect(page.locator(".tile")).to_have_text([re.compile(rf"job {job}\b") for job in jobs])


def field_of(page, label: str):
    return page.locator("label", has_text=re.compile(rf"^{label}\b")).locator("input, select")


def words(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.strip(" ─")]


def test_its_figures_are_the_reports(nightshift: Installation, page):
    for part in ("plots", "figures"):
        page.locator(f"nav a[href='#{part}']").click()
    figures = page.locator("#figures")
    said = [text for line in page.locator("header p, h1").all_inner_texts() for text in words(line)]
    said += [text for line in figures.locator("p, caption").all_inner_texts() for text in words(line)]
    said += [" ".join(row.locator("th, td").all_inner_texts()) for row in figures.locator("tr").all()]
    said = [" ".join(line.split()) for line in said]
    # A cell that a terminal has to break stands in one line here.
    missing = [line for line in words(nightshift.producer("report", "shoes").stdout) if line not in said]
    assert missing == []


def test_it_plots_pictures_and_what_happened_besides(page):
    page.locator("nav a[href='#plots']").click()
    plot = page.get_by_role("img", name="Seconds a picture, between 30.00 s and 34.00 s")
    expect(plot).to_be_visible()
    assert plot.locator("circle").count() == 5
    heights = [float(circle.get_attribute("cy")) for circle in plot.locator("circle").all()]
    assert heights == sorted(heights, reverse=True)
    assert plot.locator(".events text").all_text_contents() == ["load", "warm-up"]
    assert page.get_by_role("img", name="Memory of the worker, between 1.00 GB and 1.00 GB").is_visible()
    bars = page.locator("figure", has_text="Accepted, and rejected by check").locator("tr").all_inner_texts()
    assert [" ".join(bar.split()) for bar in bars] == [
        "accepted 3 of 5",
        "rejected 2 of 5",
        "… by centre 2 of 5",
        "… by edge 1 of 5",
    ]
    page.get_by_text("What happened besides, in words").click()
    expect(page.get_by_text("load: loaded demo")).to_be_visible()


#: What is chosen in a field, and the jobs that are left.
FILTERS = [
    ("Prompt", "BOOT blue", [3, 5]),
    ("Prompt", "no such", []),
    ("Verdict", "accepted", [1, 2, 3]),
    ("Verdict", "rejected", [4, 5]),
    ("Verdict", "by edge", [5]),
    ("Verdict", "person", [3]),
    ("colour", "=blue", [3, 4, 5]),
    ("kind", "=loafer", [2, 4]),
    ("Seconds, at least", "32.5", [4, 5]),
    # They are finished 30, 61, 93, 126 and 160 seconds after 03:04:05.
    ("Made from", "2026-01-02T03:05:30", [3, 4, 5]),
    ("until", "2026-01-02T03:05:30", [1, 2]),
    ("Order", "slow", [5, 4, 3, 2, 1]),
    ("Order", "new", [5, 4, 3, 2, 1]),
]


def test_each_filter_leaves_what_it_says_and_takes_it_back(page):
    page.get_by_text("By time, and in another order").click()
    for field, value, jobs in FILTERS:
        place = field_of(page, field)
        if place.evaluate("place => place.tagName") == "SELECT":
            place.select_option(value)
        else:
            place.fill(value)
        expect(page.locator("#count"), f"{field}: {value}").to_have_text(f"{len(jobs)} of 5 pictures")
        expect_jobs(page, jobs)
        page.get_by_role("button", name="Show all").click()
        expect(page.locator("#count")).to_have_text("5 of 5 pictures")
        expect_jobs(page, [1, 2, 3, 4, 5])


def test_filters_work_together(page):
    field_of(page, "colour").select_option("=blue")
    field_of(page, "Verdict").select_option("rejected")
    field_of(page, "Prompt").fill("table")
    expect_jobs(page, [5])


def test_the_colour_that_a_prompt_names_is_a_filter_where_no_template_chose_one(
    nightshift: Installation, chromium, tmp_path
):
    write_batch(nightshift, "plain", [Made("a red boot on white"), Made("a navy loafer"), Made("a boot")], files=False)
    with opened(chromium, written(nightshift, tmp_path / "plain.html", "plain")) as page:
        assert field_of(page, "colour").locator("option").all_inner_texts() == ["any (3)", "red (1)", "navy (1)"]


def test_the_large_view_goes_by_the_keyboard(page):
    page.locator(".tile button").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    heading = page.locator("#large-heading")
    expect(heading).to_have_text("job 2")
    assert page.locator("#panes img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
    page.keyboard.press("ArrowRight")
    expect(heading).to_have_text("job 3")
    expect(page.locator("#panes dl")).to_contain_text("accepted by a person")
    page.keyboard.press("c")
    page.keyboard.press("ArrowRight")
    expect(heading).to_have_text("job 3 beside job 4")
    assert page.locator("#panes article").count() == 2
    differing = page.locator("#panes article").first.locator("dd.differs").all_inner_texts()
    assert "a blue boot" in differing
    assert "blue" not in differing
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(heading).to_have_text("job 3 beside job 5")
    page.keyboard.press("c")
    expect(heading).to_have_text("job 5")
    page.keyboard.press("Escape")
    expect(page.locator("#large")).to_be_hidden()
    # Where the arrows led, so that a person goes on from there.
    expect(page.locator(":focus")).to_contain_text("job 5")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(heading).to_have_text("job 1")


def test_a_picture_says_all_and_links_its_file(nightshift: Installation, page):
    page.locator(".tile button").nth(4).click()
    names, values = (page.locator(f"#panes {tag}").all_inner_texts() for tag in ("dt", "dd"))
    said = dict(zip(names, values, strict=True))
    assert said["prompt"] == "a blue boot on a table"
    assert (said["colour"], said["kind"], said["seed"], said["steps"]) == ("blue", "boot", "5", "20")
    assert said["verdict"] == "rejected by centre, edge"
    assert said["check edge"] == "against it: edge is wrong"
    assert said["made in"] == "34.00 s"
    link = page.get_by_role("link", name="Open the file")
    with page.expect_popup() as popup:
        link.click()
    assert popup.value.url == (nightshift.data_dir / nightshift.jobs("shoes")[4].picture).resolve().as_uri()


def test_hostile_prompts_are_text(nightshift: Installation, chromium, tmp_path):
    pictures = [Made(prompt, 7, {"<b>name": prompt}, [f"<i>{n}"][: n % 2]) for n, prompt in enumerate(HOSTILE)]
    write_batch(nightshift, "hostile", [*pictures, Made("a boot", 2**63 - 1, checkpoint="<u>x</u>")])
    with opened(chromium, written(nightshift, tmp_path / "h <b>&'\".html", "hostile")) as page:
        assert page.title() == "Batch hostile · Nightshift"
        texts = page.locator(".tile .says > span:first-child").all_text_contents()
        assert texts == [*HOSTILE, "a boot"]
        assert page.locator("b, i, u, .tile script, .tile svg").count() == 0
        for number, prompt in enumerate(HOSTILE):
            page.locator(".tile button").nth(number).click()
            assert page.locator("#panes dd").first.text_content() == prompt
            page.keyboard.press("Escape")
        assert page.locator(".tile button img").first.evaluate("image => image.decode().then(() => true)")


def test_the_command_that_is_copied_makes_the_picture_again(nightshift: Installation, chromium, tmp_path):
    made = write_batch(nightshift, "again", [Made(prompt, 2**63 - 1) for prompt in HOSTILE], files=False)
    lines = []
    with opened(chromium, written(nightshift, tmp_path / "page.html", "again")) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        for number in range(len(made)):
            page.locator(".tile button").nth(number).click()
            page.get_by_role("button", name="Copy as command").click()
            expect(page.get_by_text("copied", exact=True)).to_be_visible()
            lines.append(page.evaluate("navigator.clipboard.readText()"))
            page.keyboard.press("Escape")
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-e", "-c", "\n".join(lines)],
        cwd=tmp_path,
        env=os.environ | nightshift.environment | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "taken").exists()
    jobs = nightshift.jobs()
    asked = [job for job in jobs if job.id in made]
    again = sorted(jobs, key=lambda job: job.id)[-len(made) :]
    assert [spec_of(job) for job in again] == [spec_of(job) for job in asked]
    assert {job.state for job in again} == {JobState.QUEUED}


def test_a_browser_that_has_less_for_files_copies_and_leads_on_all_the_same(night, chromium):
    with opened(chromium, night, permissions=["clipboard-read", "clipboard-write"]) as page:
        page.evaluate("() => { Object.defineProperty(navigator, 'clipboard', { value: undefined }) }")
        page.evaluate("() => { history.replaceState = () => { throw new DOMException('no', 'SecurityError') } }")
        page.locator("nav a[href='#plots']").click()
        expect(page.locator("#plots")).to_be_visible()
        page.locator("nav a[href='#pictures']").click()
        page.locator(".tile button").first.click()
        page.get_by_role("button", name="Copy as command").click()
        expect(page.get_by_text("copied", exact=True)).to_be_visible()
        line = page.locator("#panes code").text_content()
        page.keyboard.press("Escape")
        field_of(page, "Prompt").focus()
        page.keyboard.press("Control+V")
        expect(field_of(page, "Prompt")).to_have_value(line)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_everyone_can_read_it(night, chromium, scheme, width):
    with opened(chromium, night, color_scheme=scheme, viewport={"width": width, "height": 740}) as page:
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        light = sum(map(int, re.findall(r"\d+", background)[:3])) > 3 * 128
        assert light == (scheme == "light")
        for part in ("pictures", "plots", "figures", "large"):
            if part == "large":
                page.locator("nav a[href='#pictures']").click()
                page.locator(".tile button").first.click()
                page.keyboard.press("c")
                page.keyboard.press("ArrowRight")
            else:
                page.locator(f"nav a[href='#{part}']").click()
                expect(page.locator(f"#{part}")).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            violations = Axe().run(page).response["violations"]
            bad = [
                (one["id"], one["nodes"][0]["html"]) for one in violations if one["impact"] in ("serious", "critical")
            ]
            assert bad == []


def test_without_scripts_figures_and_plots_are_there(night, chromium):
    with opened(chromium, night, java_script_enabled=False) as page:
        expect(page.get_by_text("The gallery needs scripts")).to_be_visible()
        expect(page.get_by_text("Estimates from steady state")).to_be_visible()


def test_thousands_are_there_a_screen_at_a_time(nightshift: Installation, chromium, tmp_path):
    colours = ("red", "blue", "green")
    pictures = [Made(f"a {colours[n % 3]} boot", n, {"colour": colours[n % 3]}) for n in range(3_000)]
    numbers = write_batch(nightshift, "thousands", pictures, files=False)
    with opened(chromium, written(nightshift, tmp_path / "thousands.html", "thousands")) as page:
        expect(page.locator("#count")).to_have_text("3,000 of 3,000 pictures")
        assert shown_jobs(page)[0] == numbers[0]
        page.locator(".tile button").first.focus()
        page.keyboard.press("End")
        expect(page.locator(f".tile button:has-text('job {numbers[-1]},')")).to_be_in_viewport()
        assert page.locator(".tile").count() < 200
        field_of(page, "colour").select_option("=green")
        expect(page.locator("#count")).to_have_text("1,000 of 3,000 pictures")
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        expect(page.locator(f".tile button:has-text('job {numbers[-1]},')")).to_be_in_viewport()
        assert page.locator(".tile").count() < 200


def test_the_pictures_go_with_the_page(nightshift: Installation, chromium, tmp_path):
    file = written(nightshift, tmp_path / "night.html", "shoes")
    names = sorted(one.name for one in (tmp_path / "night-pictures").iterdir())
    assert names == [f"job-{number:08d}.webp" for number in range(1, 6)]
    elsewhere = tmp_path / "deep" / "er"
    elsewhere.mkdir(parents=True)
    file = file.rename(elsewhere / file.name)
    (tmp_path / "night-pictures").rename(elsewhere / "night-pictures")
    with chromium.new_context() as tab:
        page = tab.new_page()
        page.goto(file.as_uri())
        page.locator(".tile button").first.click()
        expect(page.get_by_text("The file is not there any more")).to_be_visible()
        assert page.locator("#panes img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 64


def test_inline_needs_no_folder(nightshift: Installation, chromium, tmp_path):
    file = written(nightshift, tmp_path / "night.html", "shoes", "--inline")
    assert [one.name for one in tmp_path.iterdir()] == ["night.html"]
    with opened(chromium, file) as page:
        assert page.locator(".tile img").first.evaluate("image => image.decode().then(() => image.naturalWidth)") == 64


def test_a_picture_that_is_gone_has_its_place(nightshift: Installation, chromium, tmp_path):
    picture = nightshift.data_dir / nightshift.jobs("shoes")[0].picture
    content = picture.read_bytes()
    picture.unlink()
    try:
        file = written(nightshift, tmp_path / "night.html", "shoes")
    finally:
        picture.write_bytes(content)
    with opened(chromium, file) as page:
        expect(page.locator(".tile").first).to_contain_text("job 1, not there any more")
        page.locator(".tile button").first.click()
        expect(page.get_by_text("The file is not there any more")).to_be_visible()


def test_a_small_copy_is_made_once_and_again_when_the_picture_is_another(nightshift: Installation, tmp_path):
    written(nightshift, tmp_path / "night.html", "shoes")
    with nightshift.database.reading() as session:
        folder = (
            nightshift.data_dir / "thumbnails" / f"batch-{session.query(Batch).filter_by(name='shoes').one().id:04d}"
        )
    copies = {file: file.stat().st_ino for file in folder.iterdir()}
    assert len(copies) == 5
    picture = nightshift.data_dir / nightshift.jobs("shoes")[1].picture
    Image.new("RGB", (640, 320), BLUE).save(picture)
    written(nightshift, tmp_path / "night.html", "shoes")
    changed = [file.name for file in folder.iterdir() if file.stat().st_ino != copies[file]]
    assert changed == ["job-00000002.webp"]
    with Image.open(tmp_path / "night-pictures" / "job-00000002.webp") as copy:
        assert copy.size == (256, 128)


def test_all_batches_have_a_page_too(nightshift: Installation, chromium, tmp_path):
    with opened(chromium, written(nightshift, tmp_path / "all.html", "--all")) as page:
        assert page.title() == "All batches · Nightshift"
        assert shown_jobs(page)[:5] == [1, 2, 3, 4, 5]


def test_a_batch_without_pictures_has_a_page(nightshift: Installation, chromium, tmp_path):
    nightshift.enqueue("--prompt", "a boot", "--batch", "later")
    with opened(chromium, written(nightshift, tmp_path / "later.html", "later")) as page:
        page.locator("nav a[href='#pictures']").click()
        expect(page.get_by_text("No picture is there yet.")).to_be_visible()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--html", "/dev/null/x.html"), 1, "producer: /dev/null"),
        (("--html", "/tmp"), 2, "is a directory"),
        (("--inline",), 2, "--inline is for --html FILE"),
        (("--html", "x.html", "--json"), 2, "exclude each other"),
        (("--html", "x.html", "nope"), 2, "producer: there is no batch 'nope'"),
        (("many", "--html", "x.html", "--inline"), 2, "--inline holds at most 1,000 pictures, and there are 1,001"),
    ],
)
def test_what_cannot_be_is_one_line(nightshift: Installation, arguments, status, said):
    if "many" in arguments:
        write_batch(nightshift, "many", [Made()] * 1_001, files=False)
    done = nightshift.producer("report", *arguments)
    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr
