"""The service manager of this machine."""

import sys
from pathlib import Path

from models.types.errors import NightshiftError
from producer.local.services.launchd import Launchd
from producer.local.services.manager import Manager
from producer.local.services.systemd import Systemd

#: There where systemd is the machine's own manager (sd_booted(3)).
_BOOTED = Path("/run/systemd/system")


def service_manager() -> Manager:
    """Return the manager that runs here.

    Raises:
        NightshiftError: if there is none that is known.
    """
    if sys.platform == "darwin":
        return Launchd()
    if _BOOTED.is_dir():
        return Systemd()
    raise NightshiftError(
        "neither launchd nor systemd runs here: `producer run` keeps its own worker running, and deploy/ has a compose "
        "service"
    )
