"""Following a batch live: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from models.figures.estimates import Estimate, time_left
from models.figures.progress import BatchProgress, batch_progress, is_judged, recent_speed
from models.records.batches import find_batch
from models.records.database import Database
from models.records.judging.acceptance import Standing, standing
from models.settings import load_settings
from models.types.errors import DatabaseError
from models.types.states import JobState
from producer.actions.status import queue_state
from producer.format import duration, faults, per_hour, rejection
from producer.terminal.queue_lines import queue_lines
from producer.terminal.tables import console

_POLL_S = 0.25
#: A batch of a million takes long to count, and the worker wants the processor.
_RARELY = 20
#: What ended has to be seen and started again all the same.
_LONGEST_POLL_S = 5.0
#: Seconds between two lines where the output is no terminal.
_LINE_S = 10.0


def follow(
    database: Database,
    batch_name: str,
    look_after: Callable[[], str | None] = lambda: None,
    waiting: str = "waiting for a worker: `celery -A worker worker` starts one",
) -> BatchProgress:
    """Show the batch's progress until nothing of it remains, and return where it ended.

    `look_after` is called at every look; it may raise to end the following, or return what holds the batch up.
    `waiting` is what is said before the first job runs. A database that is away is waited for.
    """
    out = console(error=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[detail]}"),
        console=out,
        disable=not out.is_terminal,
        expand=True,
    )
    next_line = 0.0
    completed = total = 0
    with bar:
        shown = bar.add_task(batch_name, total=None, detail=waiting)
        while True:
            begun, over = time.monotonic(), False
            try:
                progress, found, speed_s, left, trouble = _look(database, batch_name)
                look_s = time.monotonic() - begun
                over = progress.remaining == 0
                trouble = None if over else look_after() or trouble
            except DatabaseError as error:
                # The worker waits for it too, and goes on when it is back.
                look_s, detail = time.monotonic() - begun, f"{error}; this waits and looks again"
            else:
                detail = trouble or _detail(progress, found, speed_s, left, waiting)
                completed, total = progress.done
            bar.update(shown, total=total, completed=completed, detail=detail)
            if not out.is_terminal and (over or time.monotonic() >= next_line):
                # A line stays one, for programs that read it.
                out.print(f"{batch_name}: {completed:,} of {total:,}; {detail}", soft_wrap=True)
                next_line = time.monotonic() + _LINE_S
            if over:
                return progress
            time.sleep(min(max(_POLL_S, _RARELY * look_s), _LONGEST_POLL_S))


def _look(
    database: Database, batch_name: str
) -> tuple[BatchProgress, Standing | None, float | None, Estimate | None, str | None]:
    """Return how far the batch is, how its pictures stand if judged, at what speed, what is left, what holds it up."""
    with database.reading() as session:
        batch = find_batch(session, batch_name)
        progress = batch_progress(session, batch)
        state = queue_state(database, session, load_settings())
        lines = queue_lines(state, work_left=False) if progress.remaining else []
        found = standing(session, batch.id) if is_judged(batch, progress) else None
        left = time_left(session, batch, progress) if progress.remaining and progress.made else None
        return progress, found, recent_speed(session, batch.id), left, lines[0] if lines else None


def _detail(
    progress: BatchProgress, found: Standing | None, speed_s: float | None, left: Estimate | None, waiting: str
) -> str:
    counts = progress.counts
    words = [faults(progress)]
    if found is not None:
        words.append(rejection(progress, found))
    if counts[JobState.CANCELLED]:
        words.append(f"{counts[JobState.CANCELLED]:,} cancelled")
    if speed_s:
        words.append(f"{60 / speed_s:.1f} a minute")
        if found is not None:
            words.append(per_hour(progress.per_hour(speed_s)))
        if left is not None and left.seconds is not None:
            words.append(f"{duration(left.seconds)} left")
    elif progress.remaining and not counts[JobState.RUNNING]:
        words.append(waiting)
    return ", ".join(words)
