"""The report as people read it: lines and tables, for a terminal or a page."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.figures.memory_trend import FEWEST_PICTURES, SETTLING_JOBS, MemoryTrend
from models.figures.tuned import Tuned
from models.figures.workers import WorkerFigures
from models.records.boots import GuardFigures
from models.types.causes import Cause
from models.types.printable import printable
from models.types.states import GuardStep, JobState
from producer.actions.reports.bench_results import from_pace
from producer.actions.reports.report import LoadFigures, Report
from producer.actions.reports.speed import KindSpeed, SpeedFigures
from producer.format import (
    MEMORY_WORDS,
    NOT_MEASURED,
    acceptance,
    duration,
    knobs_in_words,
    moment,
    number,
    per_hour,
    seconds,
    size,
    unreached_line,
)
from producer.terminal.bench_tables import compared
from producer.terminal.tables import table

#: What a report is made of: a heading, a line, or a table.
Part = Text | str | Table
#: Newest loads shown; a batch may have met many restarts.
_SHOWN_LOADS = 3
#: In a figure's place where it would be an average over kinds of pictures, or over settings.
_BY_KIND = "by kind"

_PRESSURE_WORDS = {1: "none", 2: "it warned of a lack of memory", 4: "critical"}
_STEP_WORDS = {
    GuardStep.EMPTY_CACHES: "emptied caches",
    GuardStep.RELOAD: "loaded the checkpoint anew",
    GuardStep.RESTART: "ended the worker, to be started anew",
}


def print_report(out: Console, report: Report) -> None:
    """Write the report to `out`."""
    for part in report_parts(report):
        # A line is never broken, so that it is found by its words.
        out.print(part, soft_wrap=not isinstance(part, Table))


def report_parts(report: Report) -> Iterator[Part]:
    """Yield the report's heading, its lines and its tables, in their order."""
    yield from _progress(report)
    for load in report.loads[-_SHOWN_LOADS:]:
        yield _load(load)
    if len(report.loads) > _SHOWN_LOADS:
        yield f"… and {len(report.loads) - _SHOWN_LOADS} earlier loads"
    if report.speed is None:
        yield "No picture is finished yet: speed, memory and estimates are not measured."
    else:
        yield from _speed(report.speed)
        if len(report.workers) > 1:
            yield _workers(report.workers)
        yield from map(_tuned, report.tuned)
        yield _memory(report)
        if report.memory_pressure is not None:
            yield f"\nMemory pressure, by macOS, at its worst: {_PRESSURE_WORDS[report.memory_pressure]}"
        yield _trend(report.memory_trend)
        yield _guard(report.guard)
    if report.failures or report.lost_attempts:
        yield _failures(report)
    if report.estimates:
        yield _estimates(report)
    if report.hardware:
        rows = [from_pace(pace, "this machine's database") for pace in report.hardware]
        yield from compared("Hardware and settings, newest 1,000 pictures of each load", rows)


def _progress(report: Report) -> Iterator[Part]:
    progress = report.progress
    if progress is None:
        yield Text("All batches", "bold")
        return
    counts = progress.counts
    yield Text(f"Batch {progress.name}", "bold")
    line = f"{progress.made:,} of {progress.total:,} pictures made"
    extra = [f"{counts[s]:,} {s}" for s in JobState if s is not JobState.SUCCEEDED and counts[s]]
    yield ", ".join([line, *extra])
    if report.presets:
        yield f"by preset: {', '.join(f'{count:,} {preset}' for preset, count in report.presets.items())}"
    if report.acceptance is not None:
        yield f"{acceptance(progress, report.acceptance)}; {per_hour(report.acceptance.accepted_per_hour)}"
        for picture in report.acceptance.unreached:
            yield unreached_line(picture)
    if progress.remaining:
        done_at = datetime.now(UTC) + timedelta(seconds=report.remaining_s) if report.remaining_s is not None else None
        when = f", done about {moment(done_at)} if one such device works on" if done_at else ""
        low_s, high_s = report.remaining_low_s, report.remaining_high_s
        between = "" if low_s is None else f" (95 of 100 times {duration(low_s)} to {duration(high_s)})"
        yield f"{progress.remaining:,} to go: {duration(report.remaining_s)}{between}{when}"


def _workers(workers: Sequence[WorkerFigures]) -> Table:
    """Return who made how many, how fast, and who took over what others had lost."""
    shown = table("Workers", "worker", "pictures", "an hour", "busy", "lost attempts", "taken over")
    for worker in workers:
        busy = NOT_MEASURED if worker.busy_share is None else f"{worker.busy_share:.0%}"
        of_others = ", ".join(f"{count:,} of {other}" for other, count in worker.taken_over.items())
        shown.add_row(
            printable(f"{worker.device} of {worker.host}"),
            f"{worker.pictures:,}",
            NOT_MEASURED if worker.per_hour is None else f"{worker.per_hour:,.0f}",
            busy,
            f"{worker.lost:,}",
            printable(of_others) or "none",
        )
    return shown


def _load(load: LoadFigures) -> Table:
    shown = table(f"Worker boot {load.boot}, {moment(load.started_at)}", "", "")
    shown.show_header = False
    versions = ", ".join(f"{name} {version}" for name, version in load.versions.items() if name != "system")
    before = _available(load.available_before_bytes, load.memory_total_bytes)
    after = _available(load.available_after_bytes, load.memory_total_bytes)
    for name, value in (
        ("device", f"{load.device}: {load.device_name}"),
        ("chip", f"{load.chip}, {load.threads} threads"),
        ("machine", f"{load.host}, {size(load.memory_total_bytes)} memory, {load.versions.get('system', '')}"),
        ("dtype", load.dtype),
        ("checkpoint", f"{load.checkpoint} ({load.revision.removeprefix('sha256:')[:12]})"),
        ("knobs", knobs_in_words(load.knobs)),
        ("versions", versions),
        ("load", f"{seconds(load.load_s)}; resident memory grew by {size(load.load_rss_bytes)}, warm-up included"),
        ("warm-up", f"{seconds(load.warmup_s)} ({load.warmup_steps} steps, thrown away)"),
        ("available", f"{before} before load, {after} after warm-up"),
        ("peak", _peak(load)),
    ):
        shown.add_row(name, value)
    return shown


def _peak(load: LoadFigures) -> str:
    source = f" ({load.rss_lifetime_peak_source})" if load.rss_lifetime_peak_source else ""
    return f"{size(load.rss_lifetime_peak_bytes)} resident in the boot's life{source}"


def _available(count: int | None, total: int | None) -> str:
    return size(count) if count is None or not total else f"{size(count)} ({1 - count / total:.1%} in use)"


def _speed(speed: SpeedFigures) -> Iterator[Part]:
    columns = ("pictures", "mean", "median", "p95", "min", "max", "steps/s")
    shown = table("Steady state, seconds a picture", *columns, right=columns)
    shown.add_row(
        f"{speed.steady_pictures:,}",
        *(
            _BY_KIND if speed.by_kind else seconds(figure)
            for figure in (speed.mean_s, speed.median_s, speed.p95_s, speed.min_s, speed.max_s)
        ),
        _BY_KIND if speed.by_kind else number(speed.steps_per_s),
    )
    yield shown
    if speed.cold_pictures:
        yield (
            f"{speed.cold_pictures} first of their size after a load or of a trial, or made at a second try, are left "
            "out of steady state."
        )
    if speed.by_kind:
        yield _by_kind(speed.by_kind, speed.steady_pictures)
    rate = table("Throughput, all pictures", "over", "time", "pictures a minute", right=("time", "pictures a minute"))
    rate.add_row("wall-clock time, first start to last finish", duration(speed.wall_s), number(speed.per_minute_wall))
    if speed.slept_s:
        awake_s = None if speed.wall_s is None else speed.wall_s - speed.slept_s
        rate.add_row(
            f"the same without {duration(speed.slept_s)} in which the machine slept",
            duration(awake_s),
            number(speed.per_minute_awake),
        )
    rate.add_row("busy time of the device", duration(speed.busy_s), number(speed.per_minute_busy))
    yield rate
    where = table("Device time by part", "part", "mean", "share", right=("mean", "share"))
    for part, (mean, share) in speed.parts.items():
        where.add_row(part, _BY_KIND if speed.by_kind else seconds(mean), f"{share:.1%}")
    yield where
    busy = NOT_MEASURED if speed.busy_share is None else f"{speed.busy_share:.1%}"
    a_call = speed.pictures_a_call or 1.0
    together = f"\nMade {a_call:.1f} pictures a call, in the mean" if a_call > 1 else ""
    yield f"{together}\nThe device was busy, of the time in which pictures waited: {busy}"
    if speed.lora_switches:
        each = seconds(speed.lora_switch_s / speed.lora_switches)
        yield f"LoRAs switched: {speed.lora_switches:,} times, {each} each"
    yield f"It waited from one picture to the next: {seconds(speed.gap_mean_s)}"
    yield f"Saving, beside the device: {_BY_KIND if speed.by_kind else f'{seconds(speed.save_mean_s)} a picture'}"
    yield f"Queue wait: mean {duration(speed.queue_wait_mean_s)}, longest {duration(speed.queue_wait_max_s)}"


def _tuned(found: Tuned) -> str:
    guided = "" if found.guided else ", without guidance"
    picture = f"{found.width}x{found.height}, {found.scheduler}{guided}"
    return f"Fastest on {found.device_name} at {picture}: {found.candidate}, {found.times_as_fast:.2f} x one at a time"


def _by_kind(speeds: list[KindSpeed], pictures: int) -> Table:
    figures = ("pictures", "mean", "min", "max", "steps/s")
    configurations = len({row.configuration for row in speeds}) > 1
    columns = ("picture", *["made with"] * configurations, *figures)
    told_apart = sum(row.pictures for row in speeds)
    newest = f"newest {told_apart:,} pictures, " if told_apart < pictures else ""
    shown = table(f"Steady state by kind, {newest}seconds a picture", *columns, right=figures)
    for row in speeds:
        kind, made_with = row.kind, row.configuration
        guided = [] if kind.guided else ["without guidance"]
        checkpoint = kind.checkpoint.rpartition("/")[2]
        picture = ", ".join([f"{kind.width}x{kind.height}", f"{kind.steps} steps", kind.scheduler, *guided, checkpoint])
        tuning = f"{made_with.dtype}, {knobs_in_words(made_with.knobs)}"
        made = f"{made_with.device_name} ({made_with.device}), {tuning}"
        shown.add_row(
            picture,
            *[made] * configurations,
            f"{row.pictures:,}",
            *map(seconds, (row.mean_s, row.min_s, row.max_s)),
            number(row.steps_per_s),
        )
    return shown


def _memory(report: Report) -> Table:
    shown = table("Memory", "what", "source", "before", "peak", "after", right=("before", "peak", "after"))
    for figures in report.memory:
        shown.add_row(
            MEMORY_WORDS[figures.kind],
            figures.source or NOT_MEASURED,
            size(figures.before),
            size(figures.peak),
            size(figures.after),
        )
    return shown


def _trend(trend: MemoryTrend | None) -> Part:
    if trend is None:
        return f"\nMemory growth: {NOT_MEASURED} below {SETTLING_JOBS + FEWEST_PICTURES} pictures of one boot"
    over = f"over {trend.pictures:,} pictures of boot {trend.boot}"
    shown = table("Memory growth", over, "per 100 pictures", right=("per 100 pictures",))
    for kind, growth in trend.per_100_pictures.items():
        shown.add_row(MEMORY_WORDS[kind], f"{'+' if growth and growth > 0 else ''}{size(growth)}")
    return shown


def _guard(guard: list[GuardFigures]) -> Part:
    if not guard:
        return "\nMemory guard: nothing to do"
    shown = table("Memory guard, between two jobs", "step", "times", "cost", right=("times", "cost"))
    for figures in guard:
        untimed = "" if figures.timed in (0, figures.times) else f" ({figures.timed} of {figures.times} measured)"
        shown.add_row(_STEP_WORDS[figures.step], f"{figures.times:,}", duration(figures.cost_s) + untimed)
    return shown


def _failures(report: Report) -> Table:
    shown = table("Failures by cause", "cause", "jobs", "what it means", right=("jobs",))
    for cause, count in report.failures.items():
        # A row of another version may name a cause that this one does not know.
        shown.add_row(cause, f"{count:,}", Cause(cause).sentence if cause in set(Cause) else "")
    if report.lost_attempts:
        what = "their worker went away, and their jobs were queued again"
        shown.add_row("lost attempts", f"{report.lost_attempts:,}", what)
    return shown


def _estimates(report: Report) -> Table:
    # Where some are rejected, more are made than are counted here.
    what = "accepted pictures" if report.acceptance and report.acceptance.accepted else "pictures"
    mix = "" if report.estimated_kinds == 1 else f", of these {report.estimated_kinds} kinds in their proportion"
    shown = table(f"Estimates from steady state{mix}", what, "time", "95 of 100 times between", right=(what, "time"))
    for estimate in report.estimates:
        between = (
            f"{duration(estimate.low_s)} and {duration(estimate.high_s)}"
            if estimate.low_s is not None
            else f"{NOT_MEASURED}: fewer than 3 pictures"
        )
        shown.add_row(f"{estimate.pictures:,.0f}", duration(estimate.seconds), between)
    return shown
