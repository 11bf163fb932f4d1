"""`producer doctor`."""

import json
from dataclasses import asdict

import click

from models.settings import load_settings
from producer.cli import FAILED
from producer.diagnosis import diagnose
from producer.show import console


@click.command
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_context
def command(ctx: click.Context, /, as_json: bool) -> None:
    """Check device, versions, memory, disk, Redis, database, checkpoint and settings.

    A line each, and under one that is wrong what to do; the exit status is 1 if any is.
    """
    out = console()
    checks = []
    for check in diagnose(load_settings()):
        checks.append(check)
        if as_json:
            continue
        mark, style = ("ok", "green") if check.remedy is None else ("WRONG", "bold red")
        out.print(
            f"{mark:5} {check.name}: {check.found}", style=None if check.remedy is None else style, soft_wrap=True
        )
        if check.remedy is not None:
            out.print(f"      -> {check.remedy}", soft_wrap=True)
    if as_json:
        click.echo(json.dumps([asdict(check) for check in checks], indent=2))
    if any(check.remedy for check in checks):
        ctx.exit(FAILED)
