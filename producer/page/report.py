"""The page of a report: figures, plots, coverage and a gallery, in one file that needs nothing but its pictures."""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile

from rich.table import Table

from models.figures.coverage import coverage
from models.figures.made_pictures import MadePicture, all_made_pictures, newest_from
from models.figures.timeline import events, stretches
from models.records.database import Database, Session
from models.types.clock import now
from models.types.states import MADE
from producer.actions.reports.report import Report
from producer.format import moment
from producer.page.figures import bars, shown_parts
from producer.page.gallery import Gallery
from producer.page.over_time import plots_over_time
from producer.page.pictures import ShownPicture
from producer.page.plots import ROW, WIDTH
from producer.page.templating import source, template
from producer.terminal.coverage_table import coverage_table
from producer.terminal.report_tables import report_parts

#: Pictures of a page, the newest: a browser still shows it at once.
_MOST_PICTURES = 20_000
#: Places of a plot: more could not be told apart.
_MOST_PLACES = 400


def report_page(
    database: Database,
    report: Report,
    batch_id: int | None,
    shown: Callable[[Sequence[MadePicture]], Iterable[ShownPicture]],
) -> str:
    """Return the page of a report, with the newest pictures of the batch, or of all.

    `shown` gives the links of the page's pictures to their files and small copies.

    What people wrote, such as prompts, is text in it and never markup: the template escapes it, the gallery's script
    knows text alone, and a browser runs no other script than that one, which it knows by its digest.
    """
    with database.reading() as session:
        after = newest_from(session, batch_id, MADE, _MOST_PICTURES)
    gallery = Gallery(shown(all_made_pictures(database, batch_id, MADE, after)))
    with database.reading() as session:
        return _render(session, report, batch_id, gallery)


def _render(session: Session, report: Report, batch_id: int | None, gallery: Gallery) -> str:
    heading, *parts = report_parts(report)
    combinations = [] if batch_id is None else coverage(session, batch_id)
    if any(one.attributes for one in combinations):
        parts.append(coverage_table(combinations, "Coverage"))
    lines = list(takewhile(lambda part: not isinstance(part, Table), parts))
    happened = events(session, batch_id)
    script = "\n".join(map(source, ("parts.js", "gallery.js")))
    return template("report.html").render(
        title=str(heading),
        lines=[str(line) for line in lines],
        figures=list(shown_parts(parts[len(lines) :])),
        bars=bars(report),
        plots=plots_over_time(stretches(session, batch_id, _MOST_PLACES), happened),
        events=happened,
        gallery=gallery.as_dict(),
        made=report.progress.made if report.progress else report.speed.pictures if report.speed else 0,
        script=script,
        style=source("page.css"),
        digest=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        written_at=moment(now()),
        moment=moment,
        row=ROW,
        width=WIDTH,
    )
