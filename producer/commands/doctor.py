"""`producer doctor`."""

import json
from dataclasses import asdict

import click

from models.settings import load_settings
from producer.cli import FAILED
from producer.diagnosis import diagnose
from producer.terminal import console


@click.command
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_context
def command(ctx: click.Context, /, as_json: bool) -> None:
    """Look at device, versions, memory, disk, Redis, database, checkpoint and settings.

    A line each, and under one that is wrong what to do; the exit status is 1 if any is.
    """
    out = console()
    findings = []
    for finding in diagnose(load_settings()):
        findings.append(finding)
        if as_json:
            continue
        mark, style = ("ok", "green") if finding.remedy is None else ("WRONG", "bold red")
        out.print(
            f"{mark:5} {finding.name}: {finding.found}", style=None if finding.remedy is None else style, soft_wrap=True
        )
        if finding.remedy is not None:
            out.print(f"      -> {finding.remedy}", soft_wrap=True)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    if any(finding.remedy for finding in findings):
        ctx.exit(FAILED)
