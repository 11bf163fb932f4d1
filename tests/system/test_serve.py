"""`producer serve`: batches, reports and pictures for a browser, and nothing for anybody else."""

import http.client
import re
import signal
import socket
import struct

import pytest
from browser import CHROMIUM, browser
from installation import Installation
from programs import PATIENCE_S
from redis_server import free_port
from sqlalchemy import update

from models.records.tables import Job


class Served:
    """The server of an installation, asked by plain HTTP."""

    def __init__(self, nightshift: Installation, port: int) -> None:
        self.nightshift, self.port = nightshift, port
        self.url = f"http://127.0.0.1:{port}/"

    def get(self, path: str, method: str = "GET", host: str | None = None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        connection.request(method, path, headers={} if host is None else {"Host": host})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content


@pytest.fixture(scope="module")
def served(installation):
    with installation() as nightshift:
        batch = nightshift.enqueue("--prompt", "a <b>red</b> boot", "--count", 3, "--batch", "red")
        worker = nightshift.start_worker()
        nightshift.wait_until_finished(batch)
        worker.stop()
        nightshift.enqueue("--prompt", "a blue boot", "--count", 2, "--batch", "waits")
        port = free_port()
        process = nightshift.start_producer_anew("serve", "--listen", f"127.0.0.1:{port}")
        assert process.stdout is not None
        assert process.stdout.readline() == f"http://127.0.0.1:{port}/ shows the batches; Ctrl+C ends it\n"
        yield Served(nightshift, port)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
        assert said.strip() == ""


def test_it_lists_the_batches_and_what_holds_them_up(served):
    answer, content = served.get("/")
    assert (answer.status, answer.getheader("Content-Type")) == (200, "text/html; charset=utf-8")
    page = content.decode()
    assert re.findall(r'href="(batch/[^"]*)"', page) == ["batch/waits/", "batch/red/"]
    assert "no worker is at work" in page


def test_the_page_of_a_batch_is_the_one_that_report_writes(served, tmp_path):
    answer, content = served.get("/batch/red/")
    assert answer.status == 200
    page = content.decode()
    assert "3 of 3 pictures made" in page
    assert "a <b>red</b> boot" not in page
    file = tmp_path / "red.html"
    assert served.nightshift.producer("report", "red", "--html", str(file)).returncode == 0
    headings = re.findall(r"<h2[^>]*>([^<]*)</h2>", page)
    assert headings == re.findall(r"<h2[^>]*>([^<]*)</h2>", file.read_text())


def test_pictures_are_given_out_byte_by_byte(served):
    for job in served.nightshift.jobs("red"):
        answer, content = served.get(f"/picture/{job.id}")
        assert (answer.status, answer.getheader("Content-Type")) == (200, "image/png")
        assert content == (served.nightshift.data_dir / job.picture).read_bytes()
    answer, content = served.get("/picture/1", "HEAD")
    assert (answer.status, content) == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        *("/picture/4", "/picture/99", f"/picture/{10**17}", "/picture/../../nightshift.db", "/small/99"),
        *("/batch/none/", "/batch/red", "/x"),
    ],
)
def test_what_is_not_there_is_said_in_a_line(served, path):
    answer, content = served.get(path)
    assert answer.status == 404
    assert content.count(b"\n") == 1


def test_nothing_can_be_changed_by_it(served):
    assert served.get("/batch/red/", "POST")[0].status == 501
    assert served.get("/batch/red/", "DELETE")[0].status == 501


@pytest.mark.parametrize(
    ("host", "status"), [("localhost", 200), ("127.0.0.1:80", 200), ("evil.example", 403), ("", 403)]
)
def test_a_website_whose_name_leads_here_reads_nothing(served, host, status):
    assert served.get("/", host=host)[0].status == status


def test_a_browser_sees_the_pictures(served):
    if CHROMIUM is None:
        pytest.skip("no chromium is installed")
    complaints = []
    with browser() as started, started.new_context() as tab:
        page = tab.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(served.url)
        page.click("text=red")
        # The page lets no text be run, which waiting for a condition would be.
        page.locator("main img").nth(2).wait_for()
        widths = page.evaluate(
            "async () => { const seen = [...document.querySelectorAll('main img')].slice(0, 3);"
            " await Promise.all(seen.map(one => one.decode())); return seen.map(one => one.naturalWidth); }"
        )
    assert len(widths) == 3
    assert all(widths)
    # Browsers ask for an icon of each site.
    assert [one for one in complaints if "404" not in one] == []


def test_of_a_row_that_was_spoiled_the_picture_is_there_and_the_page_says_what_is_wrong(served):
    (job, *_) = served.nightshift.jobs("red")
    with served.nightshift.database.writing() as session:
        session.execute(update(Job).where(Job.id == job.id).values(steps=0))
    # One page is kept for a while, and this takes its place.
    served.get("/batch/waits/")
    page, line = served.get("/batch/red/")
    picture, _ = served.get(f"/picture/{job.id}")
    with served.nightshift.database.writing() as session:
        session.execute(update(Job).where(Job.id == job.id).values(steps=job.steps))
    assert picture.status == 200
    assert (page.status, line.count(b"\n")) == (500, 1)
    assert line.startswith(b"this cannot be shown")


def test_a_browser_that_goes_away_leaves_no_word_on_the_terminal(served):
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", served.port)) as connection:
            connection.sendall(b"GET /batch/red/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            # A reset in place of an end: what is sent from now on is an error there.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert served.get("/")[0].status == 200


def test_an_address_that_is_taken_or_none_is_one_line(served):
    taken = served.nightshift.producer("serve", "--listen", f"127.0.0.1:{served.port}")
    assert taken.returncode == 2
    assert re.fullmatch(r"producer: nothing can listen at 127\.0\.0\.1:\d+: .*in use.*\n", taken.stderr)
    none = served.nightshift.producer("serve", "--listen", "here")
    assert none.returncode == 2
    assert "'here' is no address" in none.stderr
