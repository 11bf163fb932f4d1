"""How fast the page of a report is: `python -m benchmarks.page`.

Writes a batch of 3,000 pictures of 512x512 as if they had been made, has `producer report --html` write its page, and
opens that in Chromium, which has to be on this machine: how long until the first picture is on the screen, until a
filter has changed what is shown, and how long frames last in a scroll of 6,000 pixels a second. Prints each, and JSON
last.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import text

from benchmarks.sides import Queue, queue
from models.records.database import Database

#: Pictures that are drawn; the others are copies, since drawing thousands takes minutes.
_DISTINCT = 60
_MADE = "'2026-01-02 03:04:05.000000'"
#: When the first picture was painted, and how long a change of a field takes until what it leaves is painted.
_FIRST_PICTURE = """async () => {
  const image = document.querySelector(".tile img");
  await image.decode();
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return performance.now();
}"""
_FILTER = """async ([selector, value]) => {
  const begin = performance.now();
  const field = document.querySelector(selector);
  field.value = value;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return performance.now() - begin;
}"""
_SCROLL = """async () => {
  const frames = [];
  let last = performance.now();
  for (let y = 0; y < 20_000; y += 100) {
    window.scrollTo(0, y);
    await new Promise(requestAnimationFrame);
    frames.push(performance.now() - last);
    last = performance.now();
  }
  return frames;
}"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--pictures", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, queue(Path(folder, "queue"), worker=False) as side:
        _fill(side, asked.pictures)
        page = Path(folder, "page", "night.html")
        written = []
        for _ in range(2):
            begin = time.monotonic()
            side.producer("report", "--html", str(page))
            written.append(time.monotonic() - begin)
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-background-networking"]
            )
            # The first is a warm-up of the browser.
            rounds = [_look(chromium, page) for _ in range(asked.rounds + 1)][1:]
            chromium.close()
    figures = {name: [round_[name] for round_ in rounds] for name in rounds[0]}
    print(f"page of {asked.pictures:,} pictures: {written[0]:.1f} s; with their small copies made: {written[1]:.1f} s")
    for name, found in figures.items():
        print(f"{name}: {statistics.median(found):.0f} ms ({min(found):.0f} to {max(found):.0f})")
    print(json.dumps({"write_s": written, "ms": figures}))


def _fill(side: Queue, pictures: int) -> None:
    prompts = side.folder / "prompts.jsonl"
    colours, kinds = ("red", "blue", "green", "black", "white", "brown"), ("boots", "loafers", "sneakers")
    lines = [{"prompt": f"a photo of {colours[n % 6]} {kinds[n % 3]}, number {n}"} for n in range(pictures)]
    prompts.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    side.producer("enqueue", "--prompts", str(prompts))
    database = Database(f"sqlite:///{side.folder / 'data' / 'nightshift.db'}")
    with database.writing() as session:
        session.execute(
            text(
                "UPDATE jobs SET state = 'succeeded', picture = printf('pictures/batch-0001/job-%08d.png', id), "
                f"finished_at = {_MADE}"
            )
        )
        session.execute(
            text(
                "INSERT INTO boots (host, pid, device, device_name, chip, threads, dtype, versions, memory_sources, "
                f"started_at) VALUES ('here', 1, 'cpu', 'cpu', 'cpu', 2, 'float32', '{{}}', '{{}}', {_MADE})"
            )
        )
        session.execute(
            text(
                "INSERT INTO attempts (job_id, batch_id, boot_id, number, outcome, started_at, finished_at, total_s, "
                "first_of_boot, cold, made_again, decoded_again) SELECT id, batch_id, 1, 1, 'succeeded', "
                f"{_MADE}, strftime('%Y-%m-%d %H:%M:%f', 1760000000 + 9 * id, 'unixepoch') || '000', 8.9, 0, 0, 0, 0 "
                "FROM jobs"
            )
        )
        session.execute(
            text(
                'INSERT INTO verdicts (job_id, "check", figure, passed, sentence, judged_at) SELECT id, '
                f"'colour', 0.9, 1, printf('%d %% of it is red', id %% 100), {_MADE} FROM jobs".replace("%%", "%")
            )
        )
    folder = side.folder / "data" / "pictures" / "batch-0001"
    folder.mkdir(parents=True)
    y, x = np.mgrid[0:512, 0:512]
    for number in range(1, _DISTINCT + 1):
        pixels = np.stack([(x + number) % 256, (y * 2 + number) % 256, (x * y // 700 + number) % 256], axis=2)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"job-{number:08d}.png")
    for number in range(_DISTINCT + 1, pictures + 1):
        shutil.copyfile(folder / f"job-{number % _DISTINCT + 1:08d}.png", folder / f"job-{number:08d}.png")


def _look(chromium: Browser, file: Path) -> dict[str, float]:
    with chromium.new_context(viewport={"width": 1280, "height": 900}) as tab:
        page = tab.new_page()
        page.goto(file.as_uri(), wait_until="commit")
        page.wait_for_selector(".tile img")
        first = page.evaluate(_FIRST_PICTURE)
        words = page.evaluate(_FILTER, ["#words", "green 99"])
        everything = page.evaluate(_FILTER, ["#words", ""])
        colour = page.evaluate(_FILTER, ["[data-attribute=colour]", "=black"])
        page.evaluate(_FILTER, ["[data-attribute=colour]", ""])
        frames = page.evaluate(_SCROLL)
    return {
        "first picture on the screen": first,
        "filter by words": words,
        "all again": everything,
        "filter by colour": colour,
        "a frame of a scroll": statistics.median(frames),
        "its slowest": max(frames),
    }


if __name__ == "__main__":
    main()
