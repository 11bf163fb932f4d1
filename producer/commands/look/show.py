"""`producer show`."""

import json
from dataclasses import asdict

import click

from models.figures.job_details import AttemptDetails, JobDetails, job_details
from models.pictures.opening import open_store
from models.records.database import Database
from models.settings import load_settings
from models.types.job import MAX_KEY, JobSpec
from models.types.printable import printable
from producer.format import NOT_MEASURED, moment, seconds, size
from producer.terminal.inline_picture import print_picture
from producer.terminal.tables import console, table


@click.command
@click.argument("job", type=click.IntRange(1, MAX_KEY))
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
def command(job: int, as_json: bool) -> None:
    """Show everything that is known of JOB, by its number, and its picture where the terminal can.

    The number is the one in its picture's name. Terminals that show pictures are iTerm2, kitty and those that know
    Sixel, such as WezTerm, foot and Windows Terminal; elsewhere there is the path.
    """
    settings = load_settings()
    with Database(settings.database).reading() as session:
        details = job_details(session, job)
    store, name = open_store(settings), details.values["picture"]
    path = store.shown(name) if name else None
    if as_json:
        click.echo(json.dumps(asdict(details) | {"path": path}, indent=2, default=str))
        return
    _print_job(details)
    for attempt in details.attempts:
        _print_attempt(attempt)
    _print_findings(details)
    if path is None:
        return
    gone = "" if store.has(name) else ", which is not there any more"
    # In one piece, to be copied.
    console().print(f"\n{path}{gone}", soft_wrap=True)
    if not gone:
        print_picture(console(), store.read(name))


def _print_job(details: JobDetails) -> None:
    row = details.values
    shown = table(f"Job {row['id']} of {details.batch}: {row['state']}", "", "")
    shown.show_header = False
    for name, field in JobSpec.model_fields.items():
        value = row[name]
        if name == "lora" and not value:
            continue
        shown.add_row(name.replace("_", " "), f"{value:g}" if field.annotation is float else printable(str(value)))
    for name, value in (row["attributes"] or {}).items():
        shown.add_row(printable(name), printable(value))
    if row["source_line"]:
        shown.add_row("line of the prompts", str(row["source_line"]))
    shown.add_row("queued", moment(row["queued_at"]))
    shown.add_row("finished", moment(row["finished_at"]))
    if row["error"]:
        shown.add_row(row["cause"] or "error", printable(row["error"]))
    if row["replaces"]:
        shown.add_row("stands in for", f"job {row['replaces']}")
    if details.replaced_by:
        shown.add_row("replaced by", f"job {details.replaced_by}")
    if row["accepted_by_person"] is not None:
        shown.add_row("a person", "accepted it" if row["accepted_by_person"] else "rejected it")
    console().print(shown)


def _print_attempt(attempt: AttemptDetails) -> None:
    row = attempt.values
    shown = table(f"Attempt {row['number']}: {row['outcome']}", "", "")
    shown.show_header = False
    shown.add_row("on", f"{attempt.host}, {attempt.device_name}, boot {row['boot_id']}")
    shown.add_row("revision", attempt.revision or "-")
    shown.add_row("started", moment(row["started_at"]))
    shown.add_row("waited in the queue", seconds(row["queue_wait_s"]))
    if row["error"]:
        shown.add_row(row["cause"] or "error", printable(row["error"]))
    for lora in row["loras"] or ():
        shown.add_row("LoRA", f"{printable(lora['name'])}, {lora['scale']:g}, sha256 {lora['sha256']}")
    if row["total_s"] is not None:
        parts = ("encode", "denoise", "decode", "validate")
        took = ", ".join(f"{part} {seconds(row[f'{part}_s'])}" for part in parts)
        shown.add_row("made in", f"{seconds(row['total_s'])}: {took}" + ("; cold" if row["cold"] else ""))
        shown.add_row("saved in", f"{seconds(row['save_s'])}, {size(row['picture_bytes'])}")
        speed = NOT_MEASURED if row["steps_per_s"] is None else f"{row['steps_per_s']:.2f}"
        shown.add_row("steps a second", speed)
        shown.add_row(
            "memory at its peak",
            f"{size(row['rss_peak_bytes'])} resident; device {size(row['device_driver_peak_bytes'])}",
        )
        cut = f"; cut off is: {printable(row['prompt_cut'])}" if row["prompt_cut"] else ""
        shown.add_row("tokens of the prompt", f"{row['prompt_tokens']}{cut}")
    console().print(shown)


def _print_findings(details: JobDetails) -> None:
    if not details.findings:
        return
    shown = table("Checks", "check", "verdict", "what was found")
    for finding in details.findings:
        shown.add_row(finding.check, "passed" if finding.passed else "rejected", printable(finding.sentence))
    console().print(shown)
