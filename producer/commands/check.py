"""`producer check`."""

import json
from collections.abc import Callable
from dataclasses import asdict

import click
from PIL import Image

from checks.asked import Asked
from checks.duplicates import Seen, likeness
from checks.picture import Picture
from checks.registry import LIMITS, SETS, Selection, select
from models.batches import find_batch
from models.database import Database
from models.errors import BadInputError
from models.finding import Finding
from models.picture_store import PictureStore
from models.printable import printable
from models.progress import batch_progress
from models.settings import load_settings
from models.states import JobState
from models.verdicts import (
    FinishedPicture,
    count_judged,
    count_verdicts,
    finished_pictures,
    record_limits,
    record_verdicts,
    rejections,
)
from producer.progress_bar import progress_bar
from producer.terminal import console, table

_SHOWN = 10
#: Pictures from which on a bar is shown.
_LONG = 100


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
        count = batch_progress(session, found).counts[JobState.SUCCEEDED]
    gone: list[int] = []
    with progress_bar("looking at pictures", count, long=_LONG) as advance:
        _judge(database, found.id, PictureStore(settings.data_dir), selection, gone, advance)
    with database.writing() as session:
        record_limits(session, found.id, selection.as_dict())
    _tell(database, found.id, found.name, count, gone, as_json=as_json)


def _judge(
    database: Database,
    batch_id: int,
    store: PictureStore,
    selection: Selection,
    gone: list[int],
    advance: Callable[[int], None],
) -> None:
    """Record what the checks find of each picture; jobs whose picture is not there, or is none, are added to `gone`."""
    seen, last = selection.seen(), 0
    while True:
        with database.reading() as session:
            pictures = finished_pictures(session, batch_id, last)
        if not pictures:
            return
        verdicts: dict[int, list[Finding]] = {}
        for one in pictures:
            verdicts[one.job_id] = []
            try:
                with Image.open(store.path(one.picture)) as image:
                    picture = Picture(image)
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
                gone.append(one.job_id)
            else:
                verdicts[one.job_id] = _findings(one, picture, selection, seen)
            advance(1)
        with database.writing() as session:
            record_verdicts(session, verdicts)
        last = pictures[-1].job_id


def _findings(one: FinishedPicture, picture: Picture, selection: Selection, seen: Seen | None) -> list[Finding]:
    findings = selection.look(picture, Asked(one.prompt, one.width, one.height, one.attributes))
    # Of a picture that is thrown out anyway nothing is a duplicate.
    if seen is not None and all(finding.passed for finding in findings):
        findings.append(seen.look(one.job_id, likeness(picture)))
    return findings


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
