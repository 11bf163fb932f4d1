"""Problems in what a user wrote: where each stands, what it quotes, and how many are shown."""

from itertools import islice

from models.types.errors import BadInputError

MOST_SHOWN = 20
MOST_QUOTED = 60


class Problems:
    """All that is wrong with one order, in the order found and each once: a wrong flag shows in every request."""

    def __init__(self) -> None:
        self._found: dict[str, None] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, where: str, what: str) -> None:
        """Note a problem; `where` is as `place` gives it."""
        self._found[f"{where}: {what}"] = None

    def refuse(self) -> None:
        """Raise what was found, if anything was.

        Raises:
            BadInputError: with the first `MOST_SHOWN` problems, and how many there are beyond.
        """
        if self._found:
            shown = list(islice(self._found, MOST_SHOWN))
            more = len(self._found) - len(shown)
            raise BadInputError(shown + [f"… and {more:,} more"] * (more > 0))


def place(source: str, line: int | None = None) -> str:
    """Name a source, or one of its lines, as every problem in it begins."""
    name = "standard input" if source == "-" else source if source.isprintable() else repr(source)
    return name if line is None else f"{name}, line {line}"


def visible(value: object) -> str:
    """Quote a value: one short line, and nothing in it that a terminal would obey."""
    shown = repr(value[: MOST_QUOTED + 1] if isinstance(value, str) else value)
    return shown if len(shown) <= MOST_QUOTED + 2 else f"{shown[:MOST_QUOTED]}…"
