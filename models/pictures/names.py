"""What pictures are called in rows and in a store.

Names are made of numbers alone, so no prompt and no batch's name can steer them. The numbers are a database's: beside
one that was begun anew, or brought back from a copy, there are pictures of other jobs that had the same. Those stay,
and a picture gets another name.
"""

import re
from pathlib import PurePosixPath

PICTURES, REJECTED = "pictures", "rejected"
#: What names look like. A row says what a picture is called, and whoever writes rows is not to reach any other file.
NAME = re.compile(rf"{PICTURES}/batch-[0-9]{{4,}}/(?:{REJECTED}/)?job-[0-9]{{8,}}(?:-[0-9]+)?\.png")


def picture_name(batch_id: int, job_id: int, *, number: int = 1, rejected: bool = False) -> str:
    """Return a name that a job's picture has in rows and in the store; rejected ones lie in a folder of their own.

    A `number` beyond 1 is for a job whose name is taken by a picture of another.
    """
    stem = f"job-{job_id:08d}" if number == 1 else f"job-{job_id:08d}-{number}"
    return standing_name(f"{batch_folder(batch_id)}/{stem}.png", rejected=rejected)


def standing_name(name: str, *, rejected: bool) -> str:
    """Return the name that the picture called `name` has if it is rejected, or if it is not."""
    folder, _, file = name.rpartition("/")
    folder = folder.removesuffix(f"/{REJECTED}")
    return f"{folder}/{REJECTED}/{file}" if rejected else f"{folder}/{file}"


def is_first_name(name: str) -> bool:
    """Tell whether no other job's picture was in the way when the picture got its name."""
    return "-" not in PurePosixPath(name).stem.removeprefix("job-")


def batch_folder(batch_id: int) -> str:
    """Return what the names of a batch's pictures begin with."""
    return f"{PICTURES}/batch-{batch_id:04d}"
