"""systemd: a unit of the user, or of the machine where root asks."""

import os
from pathlib import Path

from models.types.exit_status import ExitStatus
from producer.local.services.manager import PAUSE_S, STOP_S, Manager, Service


class Systemd(Manager):
    """Keeps units."""

    program = "systemctl"
    suffix = ".service"

    @property
    def folder(self) -> Path:
        """The machine's units for root, the user's own for anybody else (systemd.unit(5))."""
        return Path("/etc/systemd/system") if _is_root() else Path.home() / ".config" / "systemd" / "user"

    def text(self, service: Service) -> str:
        """Return the unit (systemd.service(5))."""
        command = " ".join(_quoted(word).replace("$", "$$") for word in service.command)
        return f"""\
[Unit]
Description=Nightshift worker
After=network.target

[Service]
WorkingDirectory={str(service.folder).replace("%", "%%")}
# Passwords are in it: what stands in a unit itself, systemd shows to everybody.
EnvironmentFile={str(self._variables(service.name)).replace("%", "%%")}
ExecStart={command}
Restart=on-failure
RestartSec={PAUSE_S}
# It cannot start: a setting, the device or the checkpoint is wrong, and the next start would fail as this one did.
RestartPreventExitStatus={ExitStatus.CANNOT_START}
# The running picture is finished first.
KillMode=mixed
TimeoutStopSec={STOP_S}

[Install]
WantedBy={"multi-user" if _is_root() else "default"}.target
"""

    def files(self, service: Service) -> dict[Path, str]:
        """Return the unit, and the file of its variables (systemd.exec(5), EnvironmentFile)."""
        variables = "".join(f"{name}={_quoted_variable(value)}\n" for name, value in service.environment.items())
        return {self._variables(service.name): variables, **super().files(service)}

    def remove(self, name: str) -> None:
        """End a service and remove its files."""
        super().remove(name)
        self._variables(name).unlink(missing_ok=True)

    def start(self, name: str) -> None:
        """Have the unit run now and from each start on."""
        self._tell("daemon-reload")
        self._tell("enable", "--now", name)

    def stop(self, name: str) -> None:
        """End the unit, and have it start no more."""
        self._tell("disable", "--now", name)

    def state(self, name: str) -> str:
        """Return `active`, `inactive`, `failed` or what else `systemctl is-active` says."""
        return self._tell("is-active", name, may_fail=True).strip() or "unknown"

    def _variables(self, name: str) -> Path:
        return self.folder / f"{name}.env"

    def _tell(self, *arguments: str, may_fail: bool = False) -> str:
        return self.tell(*(() if _is_root() else ("--user",)), *arguments, may_fail=may_fail)


def _is_root() -> bool:
    return os.getuid() == 0


def _quoted(word: str) -> str:
    """Return a word as units take it, whatever is in it."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _quoted_variable(value: str) -> str:
    """Return a value as a file of variables takes it, in which a backslash stands before these alone."""
    return '"' + "".join(f"\\{letter}" if letter in '"\\`$' else letter for letter in value) + '"'
