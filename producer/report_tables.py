"""The report as people read it on a terminal."""

from datetime import UTC, datetime, timedelta

from rich.console import Console

from models.causes import Cause
from models.guard_actions import GuardFigures
from models.memory_trend import FEWEST_PICTURES, SETTLING_JOBS, MemoryTrend
from models.states import GuardStep, JobState
from producer.bench_results import from_pace, print_results
from producer.report import LoadFigures, Report, SettingSpeed, SpeedFigures
from producer.terminal import (
    NOT_MEASURED,
    acceptance,
    attention,
    duration,
    given_up,
    moment,
    number,
    per_hour,
    seconds,
    size,
    table,
)

#: Newest loads shown; a batch may have met many restarts.
_SHOWN_LOADS = 3
#: In a figure's place where it would be an average over settings.
_BY_SETTING = "by setting"
_MEMORY_WORDS = {
    "rss": "worker process (resident)",
    "device_allocated": "device, allocated",
    "device_driver": "device, held by the driver",
    "available": "machine, available (lowest)",
    "swap": "machine, swap used",
}

_STEP_WORDS = {
    GuardStep.EMPTY_CACHES: "emptied caches",
    GuardStep.RELOAD: "loaded the checkpoint anew",
    GuardStep.RESTART: "ended the worker, to be started anew",
}


def print_report(out: Console, report: Report) -> None:
    """Write the report's tables to `out`."""
    _print_progress(out, report)
    for load in report.loads[-_SHOWN_LOADS:]:
        _print_load(out, load)
    if len(report.loads) > _SHOWN_LOADS:
        out.print(f"… and {len(report.loads) - _SHOWN_LOADS} earlier loads")
    if report.speed is None:
        out.print("No picture is finished yet: speed, memory and estimates are not measured.")
    else:
        _print_speed(out, report.speed)
        _print_memory(out, report)
        _print_trend(out, report.memory_trend)
        _print_guard(out, report.guard)
    if report.failures or report.lost_attempts:
        _print_failures(out, report)
    _print_estimates(out, report)
    _print_hardware(out, report)


def _print_progress(out: Console, report: Report) -> None:
    progress = report.progress
    if progress is None:
        out.print("All batches", style="bold")
        return
    counts = progress.counts
    out.print(f"Batch {progress.name}", style="bold")
    line = f"{progress.made:,} of {progress.total:,} pictures made"
    extra = [f"{counts[s]:,} {s}" for s in JobState if s is not JobState.SUCCEEDED and counts[s]]
    out.print(", ".join([line, *extra]))
    if report.acceptance is not None:
        out.print(f"{acceptance(progress, report.acceptance)}; {per_hour(report.acceptance.accepted_per_hour)}")
        for picture in report.acceptance.unreached:
            out.print(given_up(picture), soft_wrap=True)
    if progress.remaining:
        done_at = datetime.now(UTC) + timedelta(seconds=report.remaining_s) if report.remaining_s is not None else None
        when = f", done about {moment(done_at)} if one such device works on" if done_at else ""
        out.print(f"{progress.remaining:,} to go: {duration(report.remaining_s)}{when}")


def _print_load(out: Console, load: LoadFigures) -> None:
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
        ("attention", attention(load.attention_slicing)),
        ("versions", versions),
        ("load", f"{seconds(load.load_s)}; resident memory grew by {size(load.load_rss_bytes)}, warm-up included"),
        ("warm-up", f"{seconds(load.warmup_s)} ({load.warmup_steps} steps, thrown away)"),
        ("available", f"{before} before load, {after} after warm-up"),
        ("peak", _peak(load)),
    ):
        shown.add_row(name, value)
    out.print(shown)


def _peak(load: LoadFigures) -> str:
    source = f" ({load.rss_lifetime_peak_source})" if load.rss_lifetime_peak_source else ""
    return f"{size(load.rss_lifetime_peak_bytes)} resident in the boot's life{source}"


def _available(count: int | None, total: int | None) -> str:
    return size(count) if count is None or not total else f"{size(count)} ({1 - count / total:.1%} in use)"


def _print_speed(out: Console, speed: SpeedFigures) -> None:
    columns = ("pictures", "mean", "median", "p95", "min", "max", "steps/s")
    shown = table("Steady state, seconds a picture", *columns, right=columns)
    shown.add_row(
        f"{speed.steady_pictures:,}",
        _BY_SETTING if speed.by_setting else seconds(speed.mean_s),
        *map(seconds, (speed.median_s, speed.p95_s, speed.min_s, speed.max_s)),
        _BY_SETTING if speed.by_setting else number(speed.steps_per_s),
    )
    out.print(shown)
    if speed.cold_pictures:
        out.print(
            f"{speed.cold_pictures} first of their size after a load, or made at a second try, are left out of steady "
            "state."
        )
    if speed.by_setting:
        _print_by_setting(out, speed.by_setting)
    rate = table("Throughput, all pictures", "over", "time", "pictures a minute", right=("time", "pictures a minute"))
    rate.add_row("wall-clock time, first start to last finish", duration(speed.wall_s), number(speed.per_minute_wall))
    rate.add_row("busy time of the device", duration(speed.busy_s), number(speed.per_minute_busy))
    out.print(rate)
    where = table("Device time by part", "part", "mean", "share", right=("mean", "share"))
    for part, (mean, share) in speed.parts.items():
        where.add_row(part, seconds(mean), f"{share:.1%}")
    out.print(where)
    busy = NOT_MEASURED if speed.busy_share is None else f"{speed.busy_share:.1%}"
    out.print(f"\nThe device was busy, of the time in which pictures waited: {busy}")
    out.print(f"It waited from one picture to the next: {seconds(speed.gap_mean_s)}")
    out.print(f"Saving, beside the device: {seconds(speed.save_mean_s)} a picture")
    out.print(f"Queue wait: mean {duration(speed.queue_wait_mean_s)}, longest {duration(speed.queue_wait_max_s)}")


def _print_by_setting(out: Console, speeds: list[SettingSpeed]) -> None:
    columns = ("pictures", "mean", "steps/s")
    shown = table("Steady state by setting", "device", "dtype", "attention", "checkpoint", *columns, right=columns)
    for row in speeds:
        device = f"{row.device_name} ({row.device})"
        what = (device, row.dtype, attention(row.attention_slicing), row.checkpoint)
        shown.add_row(*what, f"{row.pictures:,}", seconds(row.mean_s), number(row.steps_per_s))
    out.print(shown)


def _print_memory(out: Console, report: Report) -> None:
    shown = table("Memory", "what", "source", "before", "peak", "after", right=("before", "peak", "after"))
    for figures in report.memory:
        shown.add_row(
            _MEMORY_WORDS[figures.kind],
            figures.source or NOT_MEASURED,
            size(figures.before),
            size(figures.peak),
            size(figures.after),
        )
    out.print(shown)


def _print_trend(out: Console, trend: MemoryTrend | None) -> None:
    if trend is None:
        out.print(f"\nMemory growth: {NOT_MEASURED} below {SETTLING_JOBS + FEWEST_PICTURES} pictures of one boot")
        return
    over = f"over {trend.pictures:,} pictures of boot {trend.boot}"
    shown = table("Memory growth", over, "per 100 pictures", right=("per 100 pictures",))
    for kind, growth in trend.per_100_pictures.items():
        shown.add_row(_MEMORY_WORDS[kind], f"{'+' if growth and growth > 0 else ''}{size(growth)}")
    out.print(shown)


def _print_guard(out: Console, guard: list[GuardFigures]) -> None:
    if not guard:
        out.print("\nMemory guard: nothing to do")
        return
    shown = table("Memory guard, between two jobs", "step", "times", "cost", right=("times", "cost"))
    for figures in guard:
        untimed = "" if figures.timed in (0, figures.times) else f" ({figures.timed} of {figures.times} measured)"
        shown.add_row(_STEP_WORDS[figures.step], f"{figures.times:,}", duration(figures.cost_s) + untimed)
    out.print(shown)


def _print_failures(out: Console, report: Report) -> None:
    shown = table("Failures by cause", "cause", "jobs", "what it means", right=("jobs",))
    for cause, count in report.failures.items():
        # A row of another version may name a cause that this one does not know.
        shown.add_row(cause, f"{count:,}", Cause(cause).sentence if cause in set(Cause) else "")
    if report.lost_attempts:
        what = "their worker went away, and their jobs were queued again"
        shown.add_row("lost attempts", f"{report.lost_attempts:,}", what)
    out.print(shown)


def _print_estimates(out: Console, report: Report) -> None:
    if not report.estimates:
        return
    # Where some are rejected, more are made than are counted here.
    what = "accepted pictures" if report.acceptance and report.acceptance.accepted else "pictures"
    shown = table("Estimates from steady state", what, "time", "95 of 100 times between", right=(what, "time"))
    for estimate in report.estimates:
        between = (
            f"{duration(estimate.low_s)} and {duration(estimate.high_s)}"
            if estimate.low_s is not None
            else f"{NOT_MEASURED}: fewer than 3 pictures"
        )
        shown.add_row(f"{estimate.pictures:,}", duration(estimate.seconds), between)
    out.print(shown)


def _print_hardware(out: Console, report: Report) -> None:
    if report.hardware:
        rows = [from_pace(pace, "this machine's database") for pace in report.hardware]
        print_results(out, "Hardware and settings, newest 1,000 pictures of each load", rows)
