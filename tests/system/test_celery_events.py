"""Celery's own events, which its monitors read: sent where a setting asks for them."""

import threading

import pytest

from models.settings import Settings
from worker.queue.app import make_app

#: Sent by the test itself.
OWN = "test-event"
WANTED = {"worker-online", "worker-heartbeat", "task-received", "task-started", "task-succeeded"}


@pytest.fixture
def heard(nightshift):
    """Return the types of the events that are on their way, as a monitor hears them."""
    app = make_app(Settings(broker_url=nightshift.environment["NIGHTSHIFT_BROKER_URL"]))
    found: set[str] = set()
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": lambda event: found.add(event["type"])})
        thread = threading.Thread(target=lambda: receiver.capture(limit=None, timeout=None, wakeup=False))
        thread.start()

        def hears() -> bool:
            with app.events.default_dispatcher() as dispatcher:
                dispatcher.send(OWN)
            return OWN in found

        nightshift.wait_until(hears, "the monitor to hear something")
        yield found
        receiver.should_stop = True
        thread.join()
    app.close()


def test_a_monitor_hears_of_workers_and_tasks(nightshift, heard):
    nightshift.wait_until_ready(nightshift.start_worker(NIGHTSHIFT_CELERY_EVENTS="true"))
    nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a red boot"))
    nightshift.wait_until(lambda: heard >= WANTED, "the events of a task")


def test_nothing_is_sent_unless_it_is_asked_for(nightshift, heard):
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a red boot"))
    assert worker.stop() == 0
    assert heard == {OWN}
