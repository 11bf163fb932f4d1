"""What tells this machine from others, whatever its host's name is at the moment."""

import re
import subprocess
import sys
import uuid
from functools import cache
from pathlib import Path

#: machine-id(5): made at the installation, and so the same in all copies of an image.
_MACHINE_ID = Path("/etc/machine-id")
#: The bit of a number that `uuid.getnode` drew because it found no network card (RFC 9562, 6.10).
_DRAWN = 1 << 40


@cache
def machine_identity() -> str:
    """Return a text that stays the same from start to start, and differs between machines and copies of one image."""
    node = uuid.getnode()
    return f"{_installation()} {'' if node & _DRAWN else f'{node:012x}'}"


def _installation() -> str:
    if sys.platform != "darwin":
        return _MACHINE_ID.read_text().strip() if _MACHINE_ID.exists() else ""
    # ioreg(8): the number of the hardware.
    command = ["/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(r'"IOPlatformUUID" = "([^"]+)"', said)
    return found[1] if found else ""
