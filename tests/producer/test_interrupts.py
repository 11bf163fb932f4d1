"""Ctrl+C while a process is being started does not lose sight of it."""

import os
import signal

import pytest

from producer.local.interrupts import interrupts_held


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_waits_for_the_end_of_the_block(number):
    before = signal.signal(number, signal.default_int_handler)
    reached = []

    def interrupted_while_it_starts():
        with interrupts_held():
            os.kill(os.getpid(), number)
            reached.append(True)

    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted_while_it_starts()
        assert reached
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)


def test_without_one_nothing_is_changed():
    before = signal.getsignal(signal.SIGINT)
    with interrupts_held():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
