"""How long a job may take by what others of its kind took."""

from worker.care.limits import UsualTimes


def test_the_first_of_its_kind_has_no_limit_and_the_next_so_many_times_the_slowest(settings, spec):
    times = UsualTimes(settings(hang_s=10, deadline_times=20))
    assert times.of(spec()) is None
    for total_s in (9.0, 30.0, 8.0):
        times.note(spec(seed=2), total_s)
    assert times.of(spec(seed=3, prompt="another")) == 600
    assert times.of(spec(width=192)) is None


def test_it_is_never_less_than_a_step_may_take_and_none_where_it_is_off(settings, spec):
    quick, off = (UsualTimes(settings(hang_s=600, deadline_times=factor)) for factor in (20, 0))
    for times in (quick, off):
        times.note(spec(), 0.3)
    assert quick.of(spec()) == 600
    assert off.of(spec()) is None
