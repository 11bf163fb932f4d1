"""macOS's launchd: an agent of the user, since Metal wants a login."""

import os
import plistlib
import re
from pathlib import Path

from models.types.exit_status import ExitStatus
from producer.local.services.manager import PAUSE_S, STOP_S, Manager, Service

#: launchd starts an agent again unless it ended with 0, and knows no other statuses: so this says 0 for the status of a
#: worker that cannot start, and would not at the next try. What ends the shell is handed on to the worker.
_SHELL = f"""\
"$@" & worker=$!
trap 'kill -TERM $worker' TERM INT
wait $worker; status=$?
while kill -0 $worker 2>/dev/null; do wait $worker; status=$?; done
[ $status -ne {ExitStatus.CANNOT_START} ] || status=0
exit $status
"""


class Launchd(Manager):
    """Keeps agents of this user."""

    program = "launchctl"
    suffix = ".plist"

    @property
    def folder(self) -> Path:
        """The user's own agents."""
        return Path.home() / "Library" / "LaunchAgents"

    def text(self, service: Service) -> str:
        """Return the agent's property list (launchd.plist(5))."""
        log = str(service.folder / f"{service.name}.log")
        agent = {
            "Label": service.name,
            "ProgramArguments": ["/bin/sh", "-c", _SHELL, service.name, *service.command],
            "WorkingDirectory": str(service.folder),
            "EnvironmentVariables": dict(service.environment),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": PAUSE_S,
            "ExitTimeOut": STOP_S,
            # Neither slowed down nor napped as a program in the background is.
            "ProcessType": "Interactive",
            "StandardOutPath": log,
            "StandardErrorPath": log,
        }
        return plistlib.dumps(agent, sort_keys=False).decode()

    def start(self, name: str) -> None:
        """Load the agent, which starts it."""
        self.tell("bootstrap", _domain(), str(self.file(name)))

    def stop(self, name: str) -> None:
        """Unload the agent."""
        # It may have been unloaded by hand.
        self.tell("bootout", f"{_domain()}/{name}", may_fail=True)

    def state(self, name: str) -> str:
        """Return `running`, `not running`, and what else `launchctl print` says."""
        found = re.search(r"^\s*state = (.+)$", self.tell("print", f"{_domain()}/{name}", may_fail=True), re.MULTILINE)
        return found[1] if found else "not loaded"


def _domain() -> str:
    return f"gui/{os.getuid()}"
