"""One worker of several looks after the queue."""

from models.records.boots import mark_ended
from models.records.workers import other_lease, renew_lease


def test_nobody_has_it_at_first(records, read):
    assert read(other_lease, records.boot()) is None


def test_the_others_see_who_has_it_and_each_renewal(records, read, write):
    first, second = records.boot(lock_uid="a"), records.boot(lock_uid="b")
    write(renew_lease, first)
    seen = read(other_lease, second)
    assert seen.boot_id == first
    assert read(other_lease, first) is None
    write(renew_lease, first)
    assert read(other_lease, second) != seen


def test_it_goes_over_to_whoever_takes_it(records, read, write):
    first, second = records.boot(lock_uid="a"), records.boot(lock_uid="b")
    write(renew_lease, first)
    write(renew_lease, second)
    assert read(other_lease, second) is None
    assert read(other_lease, first).boot_id == second


def test_a_boot_that_ended_or_was_on_the_same_device_does_not_have_it_any_more(records, read, write):
    gone, ended, here = records.boot(lock_uid="a"), records.boot(lock_uid="b"), records.boot(lock_uid="a")
    write(renew_lease, gone)
    assert read(other_lease, here) is None
    write(renew_lease, ended)
    assert read(other_lease, here).boot_id == ended
    write(mark_ended, ended)
    assert read(other_lease, here) is None
