"""`producer download`."""

import click

from models.checkpoints import STABLE_DIFFUSION_1_5
from models.settings import load_settings
from producer.actions.machine.download import download
from producer.local.probe import probe_device


@click.command
@click.argument("checkpoint", required=False)
@click.option("--revision", metavar="COMMIT", help="Branch, tag or commit. Default: the newest.")
@click.option("--dtype", type=click.Choice(["float16", "float32"]), help="Default: what the device here uses.")
@click.option("--lora", is_flag=True, help="Fetch a LoRA instead: CHECKPOINT is its repository.")
def command(checkpoint: str | None, revision: str | None, dtype: str | None, *, lora: bool) -> None:
    """Fetch CHECKPOINT (the settings' by default) from the hub, with a progress bar; cut short, it resumes.

    Only safetensors weights and configs are fetched, in half precision where the device uses it and the
    hub has it.
    """
    settings = load_settings()
    name = checkpoint or settings.checkpoint
    click.echo(f"asking the hub for {name} …", err=True)
    if lora:
        folder = download(name, revision=revision, half=False, safety_checker=False, lora=True)
        click.echo(f"{name} is in {folder}; use it with --lora {name}")
        return
    if dtype is None:
        dtype = probe_device().get("dtype", "float32")
    folder = download(name, revision=revision, half=dtype != "float32", safety_checker=settings.safety_checker)
    click.echo(f"{name} is in {folder}")
    if revision is not None:
        click.echo(
            f"of a name the worker takes the branch main; this revision is used with NIGHTSHIFT_CHECKPOINT={folder}"
        )
    elif name not in (settings.checkpoint, STABLE_DIFFUSION_1_5):
        click.echo(f"use it with --checkpoint {name}, or NIGHTSHIFT_CHECKPOINT={name}")
