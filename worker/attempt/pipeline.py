"""The steps of an attempt, in their order."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from models.types.errors import DatabaseError, LimitsChangedError
from models.types.states import Outcome
from worker.attempt.attempt import Attempt, ended_by
from worker.attempt.judging import Judge
from worker.attempt.making import Maker
from worker.attempt.saving import Saver
from worker.attempt.settling import Settler

Step = Callable[[Attempt], Attempt]
#: A step that the attempts of one call take together.
CallStep = Callable[[Sequence[Attempt]], Sequence[Attempt]]


@dataclass(frozen=True)
class Pipeline:
    """What an attempt goes through after its claim. The first error ends it, and its end is settled all the same."""

    #: On the thread that owns the device. The last of them acknowledges the message, once its picture is denoised.
    on_device: Sequence[CallStep]
    #: On another thread, while the device makes the next picture.
    beside: Sequence[Step]
    #: Taken once more where the batch's limits were changed while they were taken.
    judge: Step
    #: Once for each attempt, however it ended.
    settle: Step
    #: When it is recorded. What goes wrong in them undoes nothing, and keeps the others from nothing.
    afterwards: Sequence[Callable[[Attempt], object]]

    @classmethod
    def of(
        cls, maker: Maker, saver: Saver, judge: Judge, settler: Settler, *afterwards: Callable[[Attempt], object]
    ) -> "Pipeline":
        """Return the pipeline of these parts."""
        return cls(
            on_device=(maker.prepare, maker.make),
            beside=(saver.save, judge.judge),
            judge=judge.judge,
            settle=settler.settle,
            afterwards=afterwards,
        )

    def finish(self, attempt: Attempt) -> Attempt:
        """Take the attempt through the steps beside the device, and settle it.

        Raises:
            DatabaseError: as `Settler.settle` does.
        """
        if attempt.outcome is Outcome.RUNNING:
            attempt = through(self.beside, attempt)
        while True:
            try:
                return self.settle(attempt)
            except LimitsChangedError as error:
                # `producer check` came between: by its limits, as all others of the batch.
                claim = replace(attempt.claim, checks=error.limits)
                attempt = through([self.judge], replace(attempt, claim=claim, findings=(), likeness=None))


def through(steps: Iterable[Step], attempt: Attempt) -> Attempt:
    """Take the attempt through the steps; the first error ends it.

    Raises:
        DatabaseError: what a step could not record, and will not be waited for.
    """
    for step in steps:
        try:
            attempt = step(attempt)
        except DatabaseError:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever a library raises, the row must say so
            return ended_by(attempt, error)
    return attempt


def through_together(steps: Iterable[CallStep], attempts: Sequence[Attempt]) -> Sequence[Attempt]:
    """Take the attempts of one call through the steps; an error that a step raises ends all that go on.

    Raises:
        DatabaseError: as `through` does.
    """
    for step in steps:
        try:
            attempts = step(attempts)
        except DatabaseError:
            raise
        except BaseException as error:  # noqa: BLE001 - as in `through`
            return [ended_by(attempt, error) for attempt in attempts]
    return attempts
