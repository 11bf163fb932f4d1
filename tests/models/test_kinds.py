"""What is left of a batch of several kinds, each estimated by its own pace."""

from collections import Counter
from dataclasses import replace

import pytest

from models.figures.estimates import expected
from models.figures.kinds import only_kind, remaining_kinds, sums_by_kind
from models.records.batches import PlannedJob, create_batch
from models.types.states import JobState
from producer.actions.reports.report import build_report
from producer.terminal.report_tables import report_parts


def test_what_is_left_is_estimated_by_each_jobs_own_kind(records, read, spec):
    boot = records.boot(host="elsewhere")
    load = records.load(boot)
    different: list[dict[str, object]] = [{}, {"width": 256}, {"guidance": 1.0}, {"steps": 5, "scheduler": "LCM"}]
    kinds = list(zip(different, (1.0, 4.0, 0.5, 0.25), strict=True))
    asked = [(values, total_s, number) for number in range(8) for values, total_s in kinds]
    planned = [PlannedJob(spec(seed=number, **values), number) for values, _, number in asked]
    with records.database.writing() as session:
        batch = create_batch(session, "mixed", "p.txt", planned, priority=5, digest="m")
        batch_id = batch.id
    for job, (_, total_s, number) in zip(records.jobs(batch), asked, strict=True):
        # Half of it is done, and of the last kind more than of the others.
        if number < 4 or (total_s < 0.4 and number < 7):
            records.attempt(job, boot, load, total_s=total_s)
            records.change(job.id, state=JobState.SUCCEEDED)
    report = read(build_report, "mixed", everything=False)
    assert report.remaining_s == pytest.approx(4 * (1.0 + 4.0 + 0.5) + 0.25)
    assert 0 < report.remaining_low_s <= report.remaining_s <= report.remaining_high_s
    kinds_left = read(remaining_kinds, batch_id)
    assert sorted(kinds_left.values()) == [1, 4, 4, 4]
    assert read(expected, kinds_left, "elsewhere").seconds == pytest.approx(report.remaining_s)
    # A checkpoint that never made any leaves the whole unmeasured, rather than too short.
    unknown = kinds_left + Counter({replace(next(iter(kinds_left)), checkpoint="a/b"): 1})
    assert read(expected, unknown, "elsewhere").seconds is None


def test_of_a_long_history_the_newest_are_told_apart(records, read, monkeypatch):
    boot = records.boot()
    load = records.load(boot)
    for number, (width, total_s) in enumerate([(128, 9.0), (128, 1.0), (256, 4.0), (128, 3.0)]):
        (job,) = records.jobs(records.batch(str(number), width=width))
        records.attempt(job, boot, load, total_s=total_s)
    assert read(only_kind, None) is None
    assert {row.kind.width: (row.pictures, row.total_s) for row in read(sums_by_kind, None)} == {
        128: (3, 13.0),
        256: (1, 4.0),
    }
    monkeypatch.setattr("models.figures.kinds._TOLD_APART", 3)
    assert {row.kind.width: (row.pictures, row.total_s) for row in read(sums_by_kind, None)} == {
        128: (2, 4.0),
        256: (1, 4.0),
    }
    report = read(build_report, None, everything=True)
    (heading,) = [title for part in report_parts(report) if "by kind" in (title := str(getattr(part, "title", "")))]
    assert "newest 3 pictures" in heading


def test_jobs_of_one_kind_are_one_kind_whatever_their_guidance_above_1(records, read):
    batches = [records.batch(str(guidance), guidance=guidance) for guidance in (3.0, 7.5)]
    assert read(only_kind, None) == read(only_kind, batches[0].id)
    assert read(only_kind, None).guided
    records.batch("free", guidance=1.0)
    assert read(only_kind, None) is None
    assert read(only_kind, 999) is None
