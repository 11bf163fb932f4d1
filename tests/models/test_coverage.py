"""Coverage: each combination of attributes with what was asked for and what became of it."""

from models.figures.coverage import Coverage, coverage
from models.records.batches import Acceptance
from models.records.tables import Job
from models.types.finding import Finding
from models.types.states import JobState, Outcome

BAD = Finding("edge", 0.2, passed=False, sentence="it is cut off")
GOOD = Finding("edge", 0.0, passed=True, sentence="it is whole")


def test_combinations_are_counted_each_for_itself(records, boot, read, write):
    batch = records.batch(jobs=6, acceptance=Acceptance({"edge": {}}, target=6, replacements=1))
    red, blue = {"colour": "red"}, {"colour": "blue"}
    for number, attributes in enumerate((red, red, red, red, blue, None), start=1):
        records.change(number, attributes=attributes)
    for number, findings in ((0, (GOOD,)), (1, (BAD,))):
        claim = records.claim(records.messages(batch)[number], boot)
        records.settle(claim, picture="x.png", findings=findings)
    records.settle(
        records.claim(records.messages(batch)[2], boot), Outcome.FAILED, cause="driver", error="the driver failed"
    )
    records.change(4, state=JobState.REJECTED)
    records.batch("other")
    one, two, three = read(coverage, batch.id)
    # Four asked for; one accepted, one replaced by one that is to come, one failed, one that a person rejected.
    assert one == Coverage(red, asked=4, accepted=1, to_come=1, rejected=2, reasons=one.reasons)
    assert one.reasons == {"edge": 1, "driver": 1, "person": 1}
    assert one.missing == 3
    assert (two.attributes, two.asked, two.to_come, two.missing) == (blue, 1, 1, 1)
    assert (three.attributes, three.asked) == ({}, 1)


def test_more_than_asked_for_is_nothing_missing(records, read):
    batch = records.batch()
    records.change(1, state=JobState.SUCCEEDED)
    with records.database.writing() as session:
        more = session.get(Job, 1)
        values = {column.key: getattr(more, column.key) for column in Job.__table__.columns if column.key != "id"}
        session.add(Job(**values | {"replaces": 1, "replacement": 1}))
    (one,) = read(coverage, batch.id)
    assert (one.asked, one.accepted, one.missing) == (1, 2, 0)
