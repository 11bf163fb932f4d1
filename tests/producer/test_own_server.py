"""What `producer run` starts beside itself: where its server listens, and how leftovers are known again."""

import json
import os
import subprocess
import sys

import psutil
import pytest

from producer.local.earlier_run import note_of, only_run
from producer.local.embedded_server import embedded_server
from producer.local.noted_process import start_noted
from worker.queue.app import make_app


@pytest.mark.parametrize("name", ["plain", "50 % off", "a#1", "why?", "x" * 120])
def test_the_server_is_reached_whatever_the_folder_is_called(tmp_path, settings, name):
    folder = tmp_path / name
    folder.mkdir()
    with embedded_server(folder) as server:
        app = make_app(settings(broker_url=server.url))
        with app, app.connection_for_write() as connection:
            connection.connect()
            assert connection.default_channel.client.ping()


@pytest.fixture
def leftover(tmp_path):
    """A process that an earlier run left behind, and its note."""
    code = "import time; print('begun', flush=True); time.sleep(600)"
    note = note_of(tmp_path, "worker")
    with start_noted(note, [sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        # The note is there before the program is, whatever becomes of who started it.
        process.stdout.readline()
        yield psutil.Process(process.pid)
        process.kill()


def move_start(folder, seconds):
    file = folder / "worker.pid"
    note = json.loads(file.read_text())
    file.write_text(json.dumps(note | {"started": note["started"] + seconds}))


def test_a_leftover_is_known_although_the_clock_was_set_a_little(tmp_path, leftover):
    move_start(tmp_path, 1.5)
    with only_run("run", tmp_path):
        assert not leftover.is_running() or leftover.status() == psutil.STATUS_ZOMBIE


def test_another_process_of_the_same_number_is_left_alone(tmp_path, leftover):
    move_start(tmp_path, -60)
    with only_run("run", tmp_path):
        assert leftover.status() != psutil.STATUS_ZOMBIE
        os.kill(leftover.pid, 0)
