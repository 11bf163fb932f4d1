"""What there is to see at each address: the batches, the page of each, and pictures."""

import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote

from models.figures.made_pictures import MadePicture
from models.figures.tuned import known_tuning
from models.pictures.opening import open_store
from models.records.batches import find_batch, find_job
from models.records.database import Database
from models.settings import Settings
from models.types.clock import now
from models.types.errors import NightshiftError, NotFoundError
from models.types.job import MAX_KEY
from producer.actions.reports.report import build_report
from producer.actions.status import status
from producer.format import moment
from producer.page.figures import shown_parts
from producer.page.pictures import ShownPicture
from producer.page.report import report_page
from producer.page.templating import source, template
from producer.page.thumbnails import make_thumbnails
from producer.terminal.queue_lines import queue_lines
from producer.terminal.status_tables import workers_table

_HTML, _TEXT, _PNG, _WEBP = "text/html; charset=utf-8", "text/plain; charset=utf-8", "image/png", "image/webp"
#: Seconds for which a page is given out again as it was made: its figures are read from all rows of its batch.
_FRESH_S = 10.0


@dataclass(frozen=True)
class Answer:
    """What a browser gets."""

    status: HTTPStatus
    kind: str
    content: bytes


class LivePages:
    """Makes them of the record and the pictures as they are; for several threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database = Database(settings.database)
        self._store = open_store(settings)
        #: The batch that was asked for last: when its page was made, and the page.
        self._made: dict[str, tuple[float, bytes]] = {}
        self._making = threading.Lock()

    def answer(self, path: str) -> Answer:
        """Return what there is at a path, or in one line why there is nothing."""
        try:
            match [unquote(part) for part in path.split("?")[0].split("/")[1:]]:
                case [""]:
                    return Answer(HTTPStatus.OK, _HTML, self._batches().encode())
                case ["batch", name, ""]:
                    return Answer(HTTPStatus.OK, _HTML, self._batch(name))
                case ["picture", job] if _is_number(job):
                    _, picture = self._find(int(job))
                    return Answer(HTTPStatus.OK, _PNG, self._store.read(picture))
                case ["small", job] if _is_number(job):
                    batch_id, _ = self._find(int(job))
                    small = self._store.thumbnail(batch_id, int(job))
                    return Answer(HTTPStatus.OK, _WEBP, self._store.read_thumbnail(small))
                case _:
                    return _line(HTTPStatus.NOT_FOUND, "there is no such page; / shows the batches")
        except (NotFoundError, FileNotFoundError) as error:
            return _line(HTTPStatus.NOT_FOUND, str(error))
        except NightshiftError as error:
            return _line(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        except Exception as error:  # noqa: BLE001 - such as of a row that was spoiled by hand: it is told to who asks
            what = f"this cannot be shown, since what is recorded of it cannot be read: {type(error).__name__}: {error}"
            return _line(HTTPStatus.INTERNAL_SERVER_ERROR, " ".join(what.split()))

    def _batches(self) -> str:
        found = status(self._settings, self._database)
        workers = [workers_table(found.queue.workers)] if found.queue.workers else []
        return template("batches.html").render(
            title="Batches",
            batches=found.batches,
            lines=queue_lines(found.queue, work_left=any(batch.remaining for batch in found.batches)),
            figures=list(shown_parts(workers)),
            style=source("page.css"),
            written_at=moment(now()),
            moment=moment,
        )

    def _batch(self, name: str) -> bytes:
        # One at a time, so that nobody who asks often has all of it read as often.
        with self._making:
            made_at, page = self._made.get(name, (None, b""))
            if made_at is None or time.monotonic() - made_at > _FRESH_S:
                with self._database.reading() as session:
                    batch = find_batch(session, name)
                    tuning = known_tuning(self._settings.data_dir)
                    report = build_report(session, name, everything=False, tuning=tuning)
                page = report_page(self._database, report, batch.id, self._shown).encode()
                self._made = {name: (time.monotonic(), page)}
            return page

    def _shown(self, pictures: Sequence[MadePicture]) -> Iterator[ShownPicture]:
        make_thumbnails(pictures, self._store, lambda _: None)
        for one in pictures:
            there = self._store.has(self._store.thumbnail(one.batch_id, one.job_id))
            links = (f"../../picture/{one.job_id}", f"../../small/{one.job_id}") if there else (None, None)
            yield ShownPicture(one, *links)

    def _find(self, job_id: int) -> tuple[int, str]:
        """Return the batch of a job, and its picture's name.

        Raises:
            NotFoundError: it has none.
        """
        with self._database.reading() as session:
            job = find_job(session, job_id)
            if job.picture is None:
                raise NotFoundError(f"job {job_id} has no picture")
            return job.batch_id, job.picture


def _is_number(text: str) -> bool:
    """Tell whether a text is a number that a job can have."""
    return re.fullmatch("[0-9]{1,10}", text) is not None and int(text) <= MAX_KEY


def _line(what: HTTPStatus, text: str) -> Answer:
    return Answer(what, _TEXT, f"{text}\n".encode())
