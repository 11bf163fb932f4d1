"""Following a training live: a bar on a terminal, a line now and then elsewhere."""

import time

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from models.figures.trainings import TrainingProgress, training_progress
from models.records.database import Database
from models.records.trainings.trainings import require_training
from models.settings import load_settings
from models.types.errors import DatabaseError
from models.types.states import JobState
from producer.actions.status import queue_state
from producer.format import duration, number, seconds
from producer.terminal.queue_lines import queue_lines
from producer.terminal.tables import console

_POLL_S = 0.5
#: Seconds between two lines where the output is no terminal.
_LINE_S = 10.0


def follow_training(database: Database, name: str) -> TrainingProgress:
    """Show a training's progress until it has ended, and return where it did; a database that is away is waited for."""
    out = console(error=True)
    columns = TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn()
    detail_column = TextColumn("{task.fields[detail]}")
    next_line = 0.0
    step = steps = 0
    with Progress(*columns, detail_column, console=out, disable=not out.is_terminal, expand=True) as bar:
        shown = bar.add_task(name, total=None, detail="")
        while True:
            over, found = False, None
            try:
                found, trouble = _look(database, name)
            except DatabaseError as error:
                detail = f"{error}; this waits and looks again"
            else:
                over, step, steps = found.is_over, found.training.step, found.training.steps
                detail = (None if over else trouble) or _detail(found)
            bar.update(shown, total=steps or None, completed=step, detail=detail)
            if not out.is_terminal and (over or time.monotonic() >= next_line):
                out.print(f"{name}: step {step:,} of {steps:,}; {detail}", soft_wrap=True)
                next_line = time.monotonic() + _LINE_S
            if over and found is not None:
                return found
            time.sleep(_POLL_S)


def _look(database: Database, name: str) -> tuple[TrainingProgress, str | None]:
    with database.reading() as session:
        found = training_progress(session, require_training(session, name))
        lines = queue_lines(queue_state(database, session, load_settings()), work_left=False)
        return found, lines[0] if lines else None


def _detail(found: TrainingProgress) -> str:
    training, newest = found.training, found.newest
    if found.is_over:
        why = f": {training.error}" if training.error else ""
        return f"{training.state}{why}"
    if newest is None:
        return "waiting for a worker" if training.state is JobState.QUEUED else "its first steps"
    words = [f"loss {number(newest.loss, 4)}"]
    if newest.held_out_loss is not None:
        words.append(f"held out {number(newest.held_out_loss, 4)}")
    words += [f"{seconds(found.step_s)} a step", f"{duration(found.left.seconds)} left"]
    return ", ".join(words)
