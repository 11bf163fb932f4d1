"""How long what is left of a batch will take: the bar, the report and the page say the same."""

from sqlalchemy.orm import Session

from models.figures.estimates import Estimate, expected, host_of
from models.figures.kinds import remaining_kinds
from models.figures.progress import BatchProgress
from models.records.tables import Batch


def time_left(session: Session, batch: Batch, progress: BatchProgress) -> Estimate:
    """Return how long what is left of the batch will take, each kind by its own pace; the bar and the report say so."""
    left = remaining_kinds(session, batch.id)
    # Of a target some pictures will be rejected, and made again.
    more = progress.to_make / progress.remaining if progress.remaining else 0.0
    return expected(session, {kind: count * more for kind, count in left.items()}, host_of(session, batch.id))
