"""Where a job's picture lies below the data folder: made of numbers alone, so no prompt or name can steer it."""

from pathlib import Path

#: The folder of all pictures, below the data folder.
PICTURES = "pictures"


def batch_folder(batch_id: int) -> Path:
    """Return the folder of a batch's pictures."""
    return Path(PICTURES, f"batch-{batch_id:04d}")


def picture_path(batch_id: int, job_id: int) -> Path:
    """Return the path of a job's picture."""
    return batch_folder(batch_id) / f"job-{job_id:08d}.png"
