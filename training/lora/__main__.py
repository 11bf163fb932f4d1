"""Teach the demo checkpoint a colour, and show what came of it: `python -m training.lora`."""

import json
import os
import subprocess
import sysconfig
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from models.figures.made_pictures import all_made_pictures
from models.records.batches import find_batch
from models.records.database import Database
from models.records.trainings.trainings import find_training
from models.settings import Settings, load_settings
from models.types.states import MADE
from producer.local.earlier_run import only_run
from producer.local.queue import local_queue
from training.lora.data_set import NAME, write_data_set
from training.lora.prompts import write_new, write_others
from training.lora.sheet import write_sheet

_CONFIG = Path(__file__).resolve().parents[2] / "examples" / "olive.toml"
_WITHOUT = "none"
#: The most without the LoRA and the least with it, in the new colour; the least of the others, with it.
_MOST_BEFORE, _LEAST_AFTER, _LEAST_OTHERS = 0.1, 0.9, 0.93


@click.command()
@click.option("--work", type=click.Path(path_type=Path), default=Path("build/demo-lora"), show_default=True)
@click.option("--sheet", type=click.Path(path_type=Path), default=Path("build/demo-lora.png"), show_default=True)
@click.pass_context
def main(ctx: click.Context, work: Path, sheet: Path) -> None:
    """Draw olive shoes, train a LoRA on them, and make pictures without it and with it.

    All by the commands that people type, beside a server and a worker of its own. A run that was cut short goes on
    where it stopped; remove the work folder to begin anew.
    """
    work, sheet = work.resolve(), sheet.resolve()
    os.environ |= {"NIGHTSHIFT_DATA_DIR": str(work / "nightshift"), "NIGHTSHIFT_CHECKPOINT": "demo"}
    settings = load_settings()
    folder, database = settings.data_dir / "run", Database(settings.database)
    with only_run("demo-lora", folder), local_queue(settings, database, folder) as own:
        own.wait_until_ready()
        commands = _Commands({"NIGHTSHIFT_BROKER_URL": own.settings.broker_url}, database, work)
        begun = time.monotonic()
        lora = commands.train()
        click.echo(f"trained within {time.monotonic() - begun:.0f} s")
        new = commands.compare(NAME, lora)
        others = commands.compare("others", lora)
    said = [
        (f"{NAME}, without the LoRA", new[_WITHOUT], new[_WITHOUT] <= _MOST_BEFORE),
        (f"{NAME}, with it", new[lora], new[lora] >= _LEAST_AFTER),
        ("other colours, with it", others[lora], others[lora] >= _LEAST_OTHERS),
    ]
    for what, share, holds in said:
        click.echo(f"{what}: {share:.0%}{'' if holds else ', which is not what it should be'}")
    _write_sheet(sheet, settings, database, lora)
    click.echo(f"The sheet: {sheet}")
    if not all(holds for _, _, holds in said):
        ctx.exit(1)


def _write_sheet(file: Path, settings: Settings, database: Database, lora: str) -> None:
    with database.reading() as session:
        batch_id = find_batch(session, f"{NAME}-test").id
    found: dict[str, list[Path]] = {_WITHOUT: [], lora: []}
    for made in sorted(all_made_pictures(database, batch_id, MADE), key=lambda made: made.job_id):
        found[made.attributes["lora"]].append(settings.data_dir / made.picture)
    write_sheet(file, found[_WITHOUT], found[lora])


class _Commands:
    """`producer` with the queue of this run."""

    def __init__(self, environment: Mapping[str, str], database: Database, work: Path) -> None:
        self._database = database
        self._environment = os.environ | environment
        self._work = work

    def run(self, *arguments: object, quiet: bool = False) -> str:
        """Run a command to its end and return what it printed.

        Raises:
            ClickException: it failed; its own words are on the terminal.
        """
        done = subprocess.run(
            [Path(sysconfig.get_path("scripts"), "producer"), *map(str, arguments)],
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if not quiet:
            click.echo(done.stdout, nl=False)
        if done.returncode:
            raise click.ClickException(f"producer {arguments[0]} ended with status {done.returncode}")
        return done.stdout

    def train(self) -> str:
        """Train, or go on, and return the LoRA's name."""
        data = self._work / "data"
        if not data.is_dir():
            write_data_set(data)
        with self._database.reading() as session:
            is_known = find_training(session, NAME) is not None
        if not is_known:
            self.run("train", NAME, "--data", data, "--config", _CONFIG)
        self.run("watch", NAME)
        training = json.loads(self.run("status", NAME, "--json", quiet=True))
        return str(training["segments"][-1]["lora"])

    def compare(self, name: str, lora: str) -> dict[str, Any]:
        """Make pictures without the LoRA and with it, and return the shares that have their colour."""
        file, batch = self._work / f"{name}.jsonl", f"{name}-test"
        (write_new if name == NAME else write_others)(file)
        variants = f"lora={_WITHOUT},{lora}"
        self.run("compare", "--prompts", file, "--axis", variants, "--checks", "colour", "--batch", batch)
        self.run("watch", batch)
        found = json.loads(self.run("compare", batch, "--json", quiet=True))
        return {one["variant"]: one["accepted"] / one["judged"] for one in found["variants"]}


if __name__ == "__main__":
    main()
