"""`producer check`."""

import json
from dataclasses import asdict

import click

from checks.registry import LIMITS, SETS, select
from models.records.database import Database
from models.settings import load_settings
from models.types.errors import BadInputError
from models.types.printable import printable
from producer.actions.judge import Judged, judge_batch
from producer.terminal.progress_bar import progress_bar
from producer.terminal.tables import console, table

_SHOWN = 10


@click.command
@click.argument("batch", required=False)
@click.option(
    "--checks",
    help=f"Sets ({', '.join(SETS)}), checks, -CHECK to leave one out, CHECK.LIMIT=VALUE; with commas between."
    " Default: those by which the batch was judged before, or product.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.option("--help-checks", is_flag=True, help="Show the checks and their limits.")
def command(batch: str | None, checks: str | None, as_json: bool, help_checks: bool) -> None:
    """Judge the pictures of BATCH, or of the newest batch: are they usable product photos?

    What each check finds is kept, in place of what was found before. Rejected pictures are moved to the folder
    "rejected" beside the others, and come back where other limits accept them; what a person decided stays. No picture
    is made. Those of the batch that are still to be made are judged in the same way.
    """
    if help_checks:
        _show_checks()
        return
    try:
        selection = None if checks is None else select(checks)
    except ValueError as error:
        raise BadInputError([f"--checks: {error}"]) from None
    settings = load_settings()
    found = judge_batch(settings, Database(settings.database), batch, selection, _SHOWN, progress_bar)
    if as_json:
        _print_json(found)
    else:
        _print(found)


def _print_json(found: Judged) -> None:
    totals = {"batch": found.batch, "pictures": found.pictures, **asdict(found.standing), "not_found": found.not_found}
    click.echo(json.dumps(totals | {"checks": [asdict(count) for count in found.counts]}, indent=2))


def _print(found: Judged) -> None:
    shown = table(None, "check", "passed", "rejected", right=("passed", "rejected"))
    for count in sorted(found.counts, key=lambda count: list(LIMITS).index(count.check)):
        shown.add_row(count.check, f"{count.passed:,}", f"{count.rejected:,}")
    console().print(shown)
    stand = found.standing
    decided = f"; a person decided over {stand.decided_by_person:,} of them" if stand.decided_by_person else ""
    click.echo(
        f"{found.batch}: {stand.accepted:,} of {found.pictures:,} pictures accepted, {stand.rejected:,} rejected"
        + decided
    )
    for job_id, finding in found.rejections:
        click.echo(f"  job {job_id}, {finding.check}: {printable(finding.sentence)}")
    if found.not_found:
        more = "" if len(found.not_found) <= _SHOWN else ", …"
        numbers = ", ".join(map(str, found.not_found[:_SHOWN]))
        click.echo(f"not judged, since their pictures are not there: jobs {numbers}{more}")


def _show_checks() -> None:
    for name, members in SETS.items():
        differing = [f"{check}.{limit}={value}" for check, limits in members.items() for limit, value in limits.items()]
        click.echo(f"{name}: {', '.join([*members, *differing]) or 'no check'}")
    shown = table(None, "limit", "default", "means")
    for check, limits in LIMITS.items():
        shown.add_row(check, "", "")
        for limit, field in limits.model_fields.items():
            shown.add_row(f"  {check}.{limit}", str(field.default), field.description or "")
    console().print(shown)
