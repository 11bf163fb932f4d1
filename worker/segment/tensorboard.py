"""Figures of a training as TensorBoard reads them, beside the record."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from models.records.trainings.segments import SegmentMeasurement

if TYPE_CHECKING:
    from worker.engine.training.trainer import StepFigures


def write_figures(folder: Path, steps: Sequence["StepFigures"], measured: SegmentMeasurement) -> None:
    """Add the steps of one segment, which is recorded, to the files in the folder.

    Raises:
        ImportError: the library is not installed.
        OSError: the files cannot be written.
    """
    # An extra, which few have.
    from tensorboardX import SummaryWriter

    # Files are called after the second in which they were begun, in which two segments may end.
    suffix = f".{steps[-1].step:06d}" if steps else ""
    with SummaryWriter(str(folder), filename_suffix=suffix) as writer:
        for one in steps:
            writer.add_scalar("train/loss", one.loss, one.step)
            writer.add_scalar("train/learning_rate", one.learning_rate, one.step)
        of_segment = {
            "validation/loss": measured.held_out_loss,
            "speed/seconds_a_step": measured.step_s,
            "memory/rss_peak_bytes": measured.rss_peak_bytes,
            "memory/device_driver_peak_bytes": measured.device_driver_peak_bytes,
        }
        for name, value in of_segment.items():
            if value is not None and steps:
                writer.add_scalar(name, value, steps[-1].step)
