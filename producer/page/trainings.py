"""What the page plots of a training, segment by segment."""

from collections.abc import Callable, Sequence

from models.figures.trainings import SegmentFigures
from producer.format import number, seconds, size
from producer.page.plots import Plot, Point, Series, plot


def plots_of_training(segments: Sequence[SegmentFigures]) -> list[Plot]:
    """Return the plots of what was measured: loss, seconds a step, rate, memory."""
    if not segments:
        return []
    span = segments[0].finished_at, segments[-1].finished_at

    def series(name: str, figure: Callable[[SegmentFigures], float | None]) -> Series:
        values = [(one.finished_at, figure(one)) for one in segments]
        return Series(name, [Point(at, value, value, value) for at, value in values if value is not None])

    losses = [series("learnt from", lambda one: one.loss), series("held out", lambda one: one.held_out_loss)]
    found = (
        plot("Loss, the mean of each segment", losses, span, lambda value: number(value, 4)),
        plot("Seconds a step", [series("step", lambda one: one.step_s)], span, seconds),
        plot("Learning rate", [series("rate", lambda one: one.learning_rate)], span, lambda value: f"{value:.2g}"),
        plot("Memory", [series("highest", lambda one: one.peak_bytes)], span, size),
    )
    return [one for one in found if one is not None]
