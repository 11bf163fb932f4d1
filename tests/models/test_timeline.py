"""How a batch went over time: nothing of another batch, no more places than asked for, every event at its moment."""

from datetime import timedelta

import pytest
from installation import Installation
from made_rows import START, Made, write_batch

from models.figures.timeline import EventKind, events, stretches
from models.records.tables import Attempt, Boot, GuardAction, Load
from models.types.states import GuardStep, Outcome


def at(seconds: float):
    return START + timedelta(seconds=seconds)


@pytest.fixture
def nightshift(installation):
    with installation() as made:
        write_batch(made, "other", [Made(total_s=100)] * 3)
        write_batch(made, "night", [Made(total_s=second) for second in (1, 2, 3, 4, 5, 6)])
        yield made


def test_few_pictures_have_a_place_each(nightshift: Installation):
    with nightshift.database.reading() as session:
        found = stretches(session, 2, most=10)
        assert len(stretches(session, None, most=10)) == 9
    assert [one.mean_s for one in found] == [one.low_s for one in found] == [1, 2, 3, 4, 5, 6]
    assert [one.finished_at for one in found] == [at(second) for second in (1, 3, 6, 10, 15, 21)]
    assert {one.pictures for one in found} == {1}
    assert found[0].queue_wait_s == 2.0
    assert found[0].memory["rss"] == 1_000_000_000
    assert found[0].memory["swap"] is None


def test_many_share_them(nightshift: Installation):
    with nightshift.database.writing() as session:
        cold, *_, last = session.query(Attempt).filter_by(batch_id=2).order_by(Attempt.id)
        cold.cold, last.rss_peak_bytes = True, 3_000_000_000
    with nightshift.database.reading() as session:
        found = stretches(session, 2, most=2)
    assert [(one.pictures, one.low_s, one.mean_s, one.high_s) for one in found] == [(3, 1, 2, 3), (3, 4, 5, 6)]
    assert [one.finished_at for one in found] == [at(6), at(21)]
    assert [one.cold for one in found] == [1, 0]
    assert [one.memory["rss"] for one in found] == [1_000_000_000, 3_000_000_000]


def test_a_load_and_its_warm_up_come_before_the_moment_that_is_recorded(nightshift: Installation):
    with nightshift.database.reading() as session:
        found = events(session, 2)
    assert [(one.kind, one.begin, one.end) for one in found] == [
        (EventKind.LOAD, at(-7), at(-2)),
        (EventKind.WARM_UP, at(-2), at(0)),
    ]


def test_another_checkpoint_is_a_switch_and_the_same_again_is_a_load(nightshift: Installation):
    with nightshift.database.writing() as session:
        boot = session.query(Boot).order_by(Boot.id.desc()).first()
        values = {"revision": "r", "load_s": 1.0, "warmup_s": 0.5, "warmup_steps": 2}
        again = Load(boot_id=boot.id, checkpoint="demo", loaded_at=at(3.5), **values)
        other = Load(boot_id=boot.id, checkpoint="other", loaded_at=at(10), **values)
        never_used = Load(boot_id=boot.id, checkpoint="third", loaded_at=at(40), **values)
        session.add_all([again, other, never_used])
        session.flush()
        attempts = session.query(Attempt).filter_by(batch_id=2).order_by(Attempt.id).all()
        attempts[2].load_id, attempts[4].load_id = again.id, other.id
    with nightshift.database.reading() as session:
        found = [one for one in events(session, 2) if one.kind is not EventKind.WARM_UP]
    assert [(one.kind, one.begin, one.says) for one in found] == [
        (EventKind.LOAD, at(-7), "loaded demo"),
        (EventKind.LOAD, at(2), "loaded demo"),
        (EventKind.SWITCH, at(8.5), "switched to other"),
    ]


def test_the_guards_work_and_lost_attempts_are_marked(nightshift: Installation):
    with nightshift.database.writing() as session:
        boot_ids = [boot.id for boot in session.query(Boot).order_by(Boot.id)]
        session.add_all(
            GuardAction(boot_id=boot, taken_at=at(second), step=step, cost_s=2.0)
            for boot, second, step in (
                (boot_ids[1], 10, GuardStep.RELOAD),
                (boot_ids[1], 12, GuardStep.RESTART),
                (boot_ids[1], 500, GuardStep.RELOAD),
                (boot_ids[0], 10, GuardStep.RELOAD),
            )
        )
        first, second, *_ = session.query(Attempt).filter_by(batch_id=2).order_by(Attempt.id)
        # Of the other batch, which has nothing to do with this one.
        session.query(Attempt).filter_by(batch_id=1).first().outcome = Outcome.LOST
        first.outcome, first.finished_at, first.cause = Outcome.LOST, None, None
        second.outcome, second.cause = Outcome.FAILED, "not_finite"
    with nightshift.database.reading() as session:
        kinds = (EventKind.LOAD, EventKind.WARM_UP)
        found = [one for one in events(session, 2) if one.kind not in kinds]
        everything = events(session, None)
    assert [(one.kind, one.begin, one.end, one.says) for one in found] == [
        (EventKind.LOST, at(0), at(0), "job 4, attempt 1: lost"),
        (EventKind.FAILED, at(1), at(3), "job 5, attempt 1: not_finite"),
        (EventKind.GUARD, at(8), at(10), "memory guard: reload"),
        (EventKind.GUARD, at(12), at(14), "memory guard: restart"),
    ]
    assert sum(one.kind is EventKind.GUARD for one in everything) == 4
    assert sum(one.kind is EventKind.LOST for one in everything) == 2
