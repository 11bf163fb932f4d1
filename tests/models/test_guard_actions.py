"""What the memory guard did, as rows and as figures."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from models.records.boots import GuardFigures, guard_figures, mark_ready, record_guard_action
from models.records.tables import Boot, GuardAction
from models.types.clock import Instant, clock_name
from models.types.states import GuardStep

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def act(records, write):
    """Return what records an action so many seconds after the start."""

    def act(boot_id, step, at_s=0.0, cost_s=None):
        write(record_guard_action, boot_id, step, held_before_bytes=13, limit_bytes=12, cost_s=cost_s)
        with records.database.writing() as session:
            newest = select(GuardAction.id).order_by(GuardAction.id.desc()).limit(1).scalar_subquery()
            values = {"taken_at": START + timedelta(seconds=at_s), "taken_s": at_s}
            session.execute(update(GuardAction).where(GuardAction.id == newest).values(values))

    return act


def costs(records):
    with records.database.reading() as session:
        return list(session.scalars(select(GuardAction.cost_s).order_by(GuardAction.id)))


@pytest.fixture
def at(monkeypatch):
    """Return what sets the clock to so many seconds after the start, and the time of day to something else."""

    def at(seconds, told=-3600):
        monkeypatch.setattr("models.types.clock.instant", lambda: Instant(seconds, clock_name()))
        monkeypatch.setattr("models.types.clock.now", lambda: START + timedelta(seconds=told))

    return at


def test_a_restart_costs_the_time_until_the_next_boot_of_its_lock_is_ready(records, write, act, at):
    boot, elsewhere = records.boot(), records.boot(lock_uid="b")
    act(boot, GuardStep.RELOAD)
    act(boot, GuardStep.RESTART, at_s=10)
    act(elsewhere, GuardStep.RESTART, at_s=10)
    records.boot()
    at(41.5)
    write(mark_ready, records.boot())
    assert costs(records) == [None, 31.5, None]
    at(100)
    write(mark_ready, records.boot())
    assert costs(records) == [None, 31.5, None]
    write(mark_ready, records.boot(lock_uid="b"))
    assert costs(records) == [None, 31.5, 90.0]


@pytest.mark.parametrize(("told", "cost_s"), [(40, 30), (0, None)])
def test_after_another_start_of_the_machine_the_time_of_day_counts_unless_it_was_set(
    records, write, act, at, told, cost_s
):
    boot = records.boot()
    act(boot, GuardStep.RESTART, at_s=10)
    with records.database.writing() as session:
        session.get_one(Boot, boot).clock = "another"
    at(1, told)
    write(mark_ready, records.boot())
    assert costs(records) == [cost_s]


def test_figures_are_of_the_boots_and_moments_asked_for(records, read, act):
    first, second = records.boot(), records.boot()
    act(first, GuardStep.RESTART, at_s=30)
    act(first, GuardStep.RESTART, at_s=40, cost_s=31.0)
    act(first, GuardStep.EMPTY_CACHES, at_s=10, cost_s=0.25)
    act(first, GuardStep.EMPTY_CACHES, at_s=20, cost_s=0.5)
    act(second, GuardStep.RELOAD, at_s=20, cost_s=9.0)
    caches, restart = GuardFigures(GuardStep.EMPTY_CACHES, 2, 2, 0.75), GuardFigures(GuardStep.RESTART, 2, 1, 31.0)
    assert read(guard_figures) == [caches, GuardFigures(GuardStep.RELOAD, 1, 1, 9.0), restart]
    assert read(guard_figures, {first}) == [caches, restart]
    assert read(guard_figures, {second}) == [GuardFigures(GuardStep.RELOAD, 1, 1, 9.0)]
    assert read(guard_figures, set()) == []
    since, until = (START + timedelta(seconds=seconds) for seconds in (15, 35))
    assert read(guard_figures, {first}, since, until) == [
        GuardFigures(GuardStep.EMPTY_CACHES, 1, 1, 0.5),
        GuardFigures(GuardStep.RESTART, 1, 0, None),
    ]
