"""Verdicts: kept for each picture and replaced picture by picture, so that a check cut short takes nothing away."""

from models.records.judging.acceptance import (
    CheckCount,
    count_verdicts,
    record_verdicts,
    rejections,
)
from models.types.finding import Finding


def finding(check, *, passed):
    return Finding(check, 0.5, passed, f"{check} was looked at")


def test_a_picture_is_judged_anew_and_the_others_keep_what_was_found(records, read, write):
    batch = records.batch("red", 3)
    first, second, third = (job.id for job in records.jobs(batch))
    good, bad = finding("edge", passed=True), finding("colour", passed=False)
    write(record_verdicts, {first: [good, bad], second: [good, bad]})
    write(record_verdicts, {first: [good], third: []})
    assert read(rejections, batch.id, 10) == [(second, bad)]
    counts = sorted(read(count_verdicts, batch.id), key=lambda count: count.check)
    assert counts == [CheckCount("colour", 0, 1), CheckCount("edge", 2, 0)]
    assert read(count_verdicts, records.batch("blue").id) == []
