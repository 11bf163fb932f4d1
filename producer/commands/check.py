"""`producer check`."""

import json
from collections.abc import Iterator
from dataclasses import asdict

import click
from PIL import Image, UnidentifiedImageError

from checks.asked import Asked
from checks.duplicates import likeness
from checks.picture import Picture
from checks.registry import LIMITS, SETS, Selection, select
from models.batches import find_batch
from models.database import Database
from models.errors import BadInputError
from models.finding import Finding
from models.picture_store import PictureStore
from models.printable import printable
from models.settings import load_settings
from models.verdicts import (
    FinishedPicture,
    count_judged,
    count_verdicts,
    finished_pictures,
    forget_verdicts,
    record_verdicts,
    rejections,
)
from producer.progress_bar import each_counted, progress_bar
from producer.terminal import console, table

_SHOWN = 10
#: Pictures whose verdicts are written together.
_CHUNK = 100


@click.command
@click.argument("batch", required=False)
@click.option(
    "--checks",
    default="product",
    show_default=True,
    help=f"Sets ({', '.join(SETS)}), checks, -CHECK to leave one out, CHECK.LIMIT=VALUE; with commas between.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.option("--help-checks", is_flag=True, help="Show the checks and their limits.")
def command(batch: str | None, checks: str, as_json: bool, help_checks: bool) -> None:
    """Judge the finished pictures of BATCH, or of the newest batch: are they usable product photos?

    What each check finds is kept with the pictures, in place of what was found before; no picture is made or moved.
    """
    if help_checks:
        _show_checks()
        return
    try:
        selection = select(checks)
    except ValueError as error:
        raise BadInputError([f"--checks: {error}"]) from None
    settings = load_settings()
    database = Database(settings.database)
    with database.reading() as session:
        found = find_batch(session, batch)
        pictures = list(finished_pictures(session, found.id))
    with database.writing() as session:
        forget_verdicts(session, found.id, selection.as_dict())
    gone: list[int] = []
    with progress_bar("looking at pictures", len(pictures), long=_CHUNK) as advance:
        judged = _judge(PictureStore(settings.data_dir), each_counted(pictures, advance), selection, gone)
        _record(database, judged)
    _tell(database, found.id, found.name, len(pictures), gone, as_json=as_json)


def _judge(
    store: PictureStore, pictures: Iterator[FinishedPicture], selection: Selection, gone: list[int]
) -> Iterator[tuple[int, list[Finding]]]:
    """Yield what the checks find of each picture; jobs whose picture is not there, or is none, are added to `gone`."""
    seen = selection.seen()
    for one in pictures:
        try:
            with Image.open(store.path(one.picture)) as image:
                picture = Picture(image)
        except (OSError, UnidentifiedImageError):
            gone.append(one.job_id)
            continue
        findings = selection.look(picture, Asked(one.prompt, one.width, one.height, one.attributes))
        # Of a picture that is thrown out anyway nothing is a duplicate.
        if seen is not None and all(finding.passed for finding in findings):
            findings.append(seen.look(one.job_id, likeness(picture)))
        yield one.job_id, findings


def _record(database: Database, judged: Iterator[tuple[int, list[Finding]]]) -> None:
    waiting: dict[int, list[Finding]] = {}
    for job_id, findings in judged:
        waiting[job_id] = findings
        if len(waiting) == _CHUNK:
            with database.writing() as session:
                record_verdicts(session, waiting)
            waiting = {}
    with database.writing() as session:
        record_verdicts(session, waiting)


def _tell(database: Database, batch_id: int, name: str, pictures: int, gone: list[int], *, as_json: bool) -> None:
    with database.reading() as session:
        counts = count_verdicts(session, batch_id)
        _, rejected = count_judged(session, batch_id)
        first = rejections(session, batch_id, _SHOWN)
    accepted = pictures - len(gone) - rejected
    if as_json:
        totals = {"batch": name, "pictures": pictures, "accepted": accepted, "rejected": rejected, "not_found": gone}
        click.echo(json.dumps(totals | {"checks": [asdict(count) for count in counts]}, indent=2))
        return
    out = console()
    shown = table(None, "check", "passed", "rejected", right=("passed", "rejected"))
    for count in sorted(counts, key=lambda count: list(LIMITS).index(count.check)):
        shown.add_row(count.check, f"{count.passed:,}", f"{count.rejected:,}")
    out.print(shown)
    click.echo(f"{name}: {accepted:,} of {pictures:,} pictures accepted, {rejected:,} rejected")
    for job_id, finding in first:
        click.echo(f"  job {job_id}, {finding.check}: {printable(finding.sentence)}")
    if gone:
        more = "" if len(gone) <= _SHOWN else ", …"
        click.echo(f"not judged, since their pictures are not there: jobs {', '.join(map(str, gone[:_SHOWN]))}{more}")


def _show_checks() -> None:
    for name, members in SETS.items():
        click.echo(f"{name}: {', '.join(members) or 'no check'}")
    shown = table(None, "limit", "default", "means")
    for check, limits in LIMITS.items():
        shown.add_row(check, "", "")
        for limit, field in limits.model_fields.items():
            shown.add_row(f"  {check}.{limit}", str(field.default), field.description or "")
    console().print(shown)
