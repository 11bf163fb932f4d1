"""The rows of an engine's loads: each is recorded once."""

from collections.abc import Callable
from datetime import datetime

from models.records.boots import record_load
from models.records.database import Database
from models.records.tables import now
from models.types.measurement import LoadMeasurement


class Loads:
    """Records loads on behalf of one boot; `until_done` does again what the database did not take."""

    def __init__(self, database: Database, boot_id: int, until_done: Callable[[Callable[[], int]], int]) -> None:
        self._database = database
        self._boot_id = boot_id
        self._until_done = until_done
        self._newest: tuple[LoadMeasurement, int] | None = None

    def number_of(self, load: LoadMeasurement) -> int:
        """Return the number of the load's row, which is written if the load is another than the last.

        Raises:
            DatabaseError: if it cannot be written, and will not be waited for.
        """
        # By identity: the same weights loaded anew are another load.
        if self._newest is None or self._newest[0] is not load:
            loaded_at = now()
            self._newest = load, self._until_done(lambda: self._record(load, loaded_at))
        return self._newest[1]

    def _record(self, load: LoadMeasurement, loaded_at: datetime) -> int:
        with self._database.writing() as session:
            return record_load(session, self._boot_id, load, loaded_at)
