"""What a data set says of each picture, so that its columns are of one type in every split.

Readers such as Hugging Face's `datasets` find a column's type in each split by itself, and refuse a data set whose
splits differ: a column that is empty in one of them, or text that is a date in one and none in the other.
"""

import re
from collections.abc import Mapping, Sequence

from models.figures.made_pictures import MadePicture

#: Text in which pyarrow's reader of JSON sees a moment (ISO 8601).
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9:.]*(?:Z|[+-][0-9:]+)?)?")
#: Columns that end so name a file in `datasets`.
_FILES = ("file_name", "file_names")


def columns_of(pictures: Sequence[MadePicture]) -> list[Mapping[str, object]]:
    """Return the same columns for every picture, of text, whole numbers, numbers and yes or no, and none is empty.

    What a picture has no attribute for is the empty text. How long it took is left out where that is not known of all.
    """
    names = _names(sorted({name for made in pictures for name in made.attributes}))
    timed = all(made.total_s is not None for made in pictures)
    return [_columns(made, names, timed=timed) for made in pictures]


def plain_text(text: str) -> str:
    """Return text that a reader of JSON takes for text: a date has a blank behind it."""
    return f"{text} " if _DATE.fullmatch(text) else text


def _columns(made: MadePicture, names: Mapping[str, str], *, timed: bool) -> Mapping[str, object]:
    own = {"job": made.job_id, "batch": made.batch, "accepted": made.is_accepted, "revision": made.revision or ""}
    own |= {"lora_sha256": ", ".join(lora["sha256"] for lora in made.loras)}
    columns = own | made.spec.model_dump() | ({"total_s": made.total_s} if timed else {})
    columns |= {column: made.attributes.get(name, "") for name, column in names.items()}
    return {name: plain_text(value) if isinstance(value, str) else value for name, value in columns.items()}


def _names(attributes: Sequence[str]) -> dict[str, str]:
    """Return the column of each attribute, none of which is taken for a file's name, or is another's."""
    names: dict[str, str] = {}
    for attribute in attributes:
        column = f"attribute_{attribute}"
        while column.endswith(_FILES) or column in names.values():
            column += "_"
        names[attribute] = column
    return names
