"""`producer doctor`."""

import json
from dataclasses import asdict

import click

from models.checkpoints import canonical_checkpoint
from models.settings import load_settings
from producer.actions.machine.diagnosis import diagnose, diagnose_device
from producer.cli import FAILED
from producer.terminal.tables import console


@click.command
@click.option(
    "--device", is_flag=True, help="Make one small picture on the device and on the CPU, and compare them, instead."
)
@click.option(
    "--checkpoint", metavar="NAME", help="With --device: made with this one, such as demo, which takes seconds."
)
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_context
def command(ctx: click.Context, /, device: bool, checkpoint: str | None, as_json: bool) -> None:
    """Look at device, versions, memory, disk, Redis, database, checkpoint and settings.

    A line each, and under one that is wrong what to do; the exit status is 1 if any is. With --device the device is put
    to the test: its picture has to be the CPU's, but for what its dtype rounds.
    """
    settings = load_settings()
    if checkpoint is not None and not device:
        raise click.UsageError("--checkpoint goes with --device")
    if device:
        name = settings.checkpoint if checkpoint is None else canonical_checkpoint(checkpoint)
        click.echo(f"making a small picture with {name} on the device and on the CPU …", err=True)
        looks = diagnose_device(name)
    else:
        looks = diagnose(settings)
    out = console()
    findings = []
    for finding in looks:
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
