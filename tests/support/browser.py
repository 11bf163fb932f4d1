"""A real browser, without a network."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

#: None where this machine has none; Debian's package is called chromium.
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def browser() -> Iterator[Browser]:
    """Start the browser that is installed on this machine."""
    with sync_playwright() as playwright:
        # As root, which containers run as, Chromium has no sandbox; what it would ask its makers for is left out.
        # A card that draws is made up for in software, at a third of all the work, unless it is told to do without.
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            yield started
        finally:
            started.close()


@contextmanager
def opened(started: Browser, file: Path, **context: Any) -> Iterator[Page]:
    """Open a page that asks for nothing but files, and that has nothing to complain of."""
    complaints: list[str] = []
    with started.new_context(**context) as tab:
        page = tab.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: complaints.extend(_beyond_this_machine(asked.url)))
        page.on("dialog", lambda shown: complaints.append(shown.message))
        page.goto(file.as_uri())
        yield page
        assert complaints == []


def _beyond_this_machine(url: str) -> list[str]:
    return [] if url.startswith(("file:", "data:")) else [url]
