"""`producer estimate`."""

import json
import socket
from dataclasses import asdict
from typing import Any

import click

from models.checkpoints import canonical_checkpoint
from models.figures.estimates import expected
from models.records.database import Database
from models.settings import load_settings
from producer.commands.make.job_options import given, pace_options
from producer.format import NOT_MEASURED, duration, size
from producer.planning.plan import plan_jobs
from producer.prompts.request import Request


@click.command
@click.option("--images", type=click.IntRange(1), required=True, help="Number of pictures.")
@pace_options
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
def command(images: int, as_json: bool, **flags: Any) -> None:
    """Say how long so many pictures would take, by what this machine has measured of such pictures."""
    settings = load_settings()
    flags = {"seed": 0, **given(flags)}
    (kind,) = plan_jobs([Request(None, {"prompt": "any"})], flags, settings.checkpoint, "estimate").kinds
    with Database(settings.database).reading() as session:
        needs = expected(session, {kind: images}, socket.gethostname())
    if as_json:
        click.echo(json.dumps(asdict(needs), indent=2))
        return
    click.echo(
        f"{images:,} pictures of {kind.width}x{kind.height}, {kind.steps} steps, {kind.scheduler}, "
        f"{'guided' if kind.guided else 'without guidance'}, "
        f"{canonical_checkpoint(kind.checkpoint)}: {duration(needs.seconds)}"
    )
    if needs.seconds is None:
        click.echo("This machine has made no such picture yet; the first few tell.")
        return
    if needs.low_s is not None:
        click.echo(f"95 of 100 times between {duration(needs.low_s)} and {duration(needs.high_s)}")
    click.echo(f"disk: {NOT_MEASURED if needs.disk_bytes is None else size(needs.disk_bytes)}")
