"""A worker has as many file handles as the system lets it have."""

import subprocess
import sys

import pytest

CODE = """
import resource
from worker.file_handles import raise_file_limit
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
