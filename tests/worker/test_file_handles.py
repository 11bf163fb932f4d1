"""A worker has as many file handles as the system lets it have."""

import errno
import resource
import subprocess
import sys
from contextlib import contextmanager

import pytest
import torch

from models.pictures.mark import read_mark
from models.types.errors import StorageError
from worker.care.file_handles import can_open_file, is_for_want_of_file_handle
from worker.engine.devices.cpu import Cpu
from worker.engine.memory import read_memory, rss_lifetime_peak

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="macOS tells of memory without files")

CODE = """
import resource
from worker.care.file_handles import raise_file_limit
resource.setrlimit(resource.RLIMIT_NOFILE, {limits})
raise_file_limit()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("limits", "then"),
    [((256, 4_000), (4_000, 4_000)), ((256, 20_000), (10_240, 20_000)), ((12_000, 20_000), (12_000, 20_000))],
)
def test_the_soft_limit_is_raised_and_never_lowered(limits, then):
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(limits=limits)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(limit) for limit in then]


@pytest.fixture
def no_file_handle():
    """Return what has a block open nothing more in this process."""

    @contextmanager
    def taken():
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    return taken


def test_what_a_library_makes_of_it_is_known_by_what_it_came_of_or_by_what_still_holds(no_file_handle):
    error = ValueError("no such checkpoint")
    error.__cause__ = OSError(errno.EMFILE, "Too many open files")
    assert is_for_want_of_file_handle(error)
    assert can_open_file()
    assert not is_for_want_of_file_handle(ValueError("no such checkpoint"))
    with no_file_handle():
        assert not can_open_file()
        assert is_for_want_of_file_handle(ValueError("no such checkpoint"))


@on_linux
def test_memory_that_cannot_be_read_is_not_measured(no_file_handle):
    device = Cpu("cpu", torch.float32)
    with no_file_handle():
        reading, peak = read_memory(device), rss_lifetime_peak()
    assert (reading.rss, reading.available, reading.swap, peak) == (None,) * 4
    assert None not in (read_memory(device).rss, rss_lifetime_peak())


def test_whose_a_picture_is_is_not_guessed_at(no_file_handle, tmp_path):
    """Taken for nobody's, a picture's name would be passed by, and a leftover for another's."""
    (tmp_path / "picture.png").write_bytes(b"no picture")
    assert read_mark(tmp_path / "picture.png") is None
    with no_file_handle(), pytest.raises(StorageError, match="close what has many files open"):
        read_mark(tmp_path / "picture.png")
