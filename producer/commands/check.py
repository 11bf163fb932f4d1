"""`producer check`."""

import json
from collections.abc import Callable
from dataclasses import asdict

import click

from checks.registry import LIMITS, SETS, Selection, select
from models.figures.made_pictures import made_pictures
from models.figures.progress import batch_progress
from models.pictures.store import PictureStore
from models.records.acceptance import follow_verdicts, standing
from models.records.batches import find_batch
from models.records.database import Database
from models.records.verdicts import (
    count_verdicts,
    record_likenesses,
    record_limits,
    record_verdicts,
    rejections,
)
from models.settings import load_settings
from models.types.errors import BadInputError
from models.types.finding import Finding
from models.types.printable import printable
from models.types.states import MADE
from producer.actions.examiners import Examiners
from producer.format import console, table
from producer.terminal.progress_bar import progress_bar

_SHOWN = 10
#: Pictures between two times that what was found is recorded: an interrupted check loses no more than that.
_PAGE = 100
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
    """Judge the pictures of BATCH, or of the newest batch: are they usable product photos?

    What each check finds is kept, in place of what was found before. Rejected pictures are moved to the folder
    "rejected" beside the others, and come back where other limits accept them; what a person decided stays. No picture
    is made. Those of the batch that are still to be made are judged in the same way.
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
        counts = batch_progress(session, found).counts
        count = sum(counts[state] for state in MADE)
    # First, so that what a worker makes meanwhile is judged in the same way.
    with database.writing() as session:
        record_limits(session, found.id, selection.as_dict())
    gone: list[int] = []
    with progress_bar("looking at pictures", count, long=_LONG) as advance:
        _judge(database, found.id, PictureStore(settings.data_dir), selection, gone, advance)
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
    with Examiners() as examiners:
        while True:
            with database.reading() as session:
                pictures = made_pictures(session, batch_id, MADE, last, _PAGE)
            if not pictures:
                return
            verdicts: dict[int, list[Finding]] = {}
            likenesses: dict[int, bytes | None] = {}
            for one, examined in examiners.look_at(pictures, store, selection):
                if not examined.is_picture:
                    gone.append(one.job_id)
                verdicts[one.job_id] = examined.findings
                likenesses[one.job_id] = None
                if examined.likeness is not None and seen is not None:
                    found = seen.look(examined.likeness)
                    verdicts[one.job_id] = [*examined.findings, found]
                    likenesses[one.job_id] = examined.likeness.to_bytes()
                    if found.passed and one.accepted_by_person is not False:
                        seen.keep(one.job_id, examined.likeness)
                advance(1)
            with database.writing() as session:
                record_verdicts(session, verdicts)
                record_likenesses(session, likenesses)
                follow_verdicts(session, store, verdicts.keys() - gone)
            last = pictures[-1].job_id


def _tell(database: Database, batch_id: int, name: str, pictures: int, gone: list[int], *, as_json: bool) -> None:
    with database.reading() as session:
        counts = count_verdicts(session, batch_id)
        found = standing(session, batch_id)
        first = rejections(session, batch_id, _SHOWN)
    if as_json:
        totals = {"batch": name, "pictures": pictures, **asdict(found), "not_found": gone}
        click.echo(json.dumps(totals | {"checks": [asdict(count) for count in counts]}, indent=2))
        return
    out = console()
    shown = table(None, "check", "passed", "rejected", right=("passed", "rejected"))
    for count in sorted(counts, key=lambda count: list(LIMITS).index(count.check)):
        shown.add_row(count.check, f"{count.passed:,}", f"{count.rejected:,}")
    out.print(shown)
    decided = f"; a person decided over {found.decided_by_person:,} of them" if found.decided_by_person else ""
    click.echo(f"{name}: {found.accepted:,} of {pictures:,} pictures accepted, {found.rejected:,} rejected{decided}")
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
