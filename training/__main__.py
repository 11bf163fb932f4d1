"""Make the demo checkpoint from nothing: `python -m training`."""

from pathlib import Path

import click
import torch
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from models.checkpoints import DEMO_FOLDER
from training.card import evaluation_table
from training.recipe import THREADS, make_checkpoint
from training.stages import Stages


@click.command()
@click.option("--work", type=click.Path(path_type=Path), default=Path("build/demo-checkpoint"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=DEMO_FOLDER, show_default="where `demo` is loaded from")
@click.option("--sheet", type=click.Path(path_type=Path), help="Write the pictures of the evaluation to this PNG too.")
def main(work: Path, out: Path, sheet: Path | None) -> None:
    """Train the demo checkpoint, measure it, and put it in place.

    A run that was cut short goes on behind the last stage that finished; remove the work folder to begin anew.
    """
    for logging in (diffusers_logging, transformers_logging):
        logging.set_verbosity_error()
        logging.disable_progress_bar()
    torch.set_num_threads(THREADS)
    stages = Stages(work)
    found = make_checkpoint(stages, out, sheet)
    stages.console.print(evaluation_table(found))
    click.echo(f"The checkpoint is in {out}.")


if __name__ == "__main__":
    main()
