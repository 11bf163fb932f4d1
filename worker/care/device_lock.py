"""One worker a device: a lock that the system lets go when its holder dies, `kill -9` included."""

import json
import re
import subprocess
import sys
import uuid
from functools import cache
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from models.private_folders import make_private_folder
from models.types.errors import DeviceError
from worker.engine.devices.device import Device

_UID = re.compile("[0-9a-f]{32}")


class DeviceLock:
    """Held from its making until `release` or the end of the process.

    `uid` stays the same from holder to holder: whoever has the lock may speak for all boots that had it before, which
    are gone. A host's name would not do, since macOS changes it with the network.
    """

    def __init__(self, device: Device, data_dir: Path) -> None:
        """Take the lock of `device` in this data folder.

        Raises:
            DeviceError: if another process has it, or the folder cannot be written.
        """
        folder = data_dir / "locks"
        stem = device.identity()
        self._lock = FileLock(folder / f"{stem}.lock", thread_local=False)
        try:
            make_private_folder(folder)
            self._lock.acquire(blocking=False)
            self.uid = _uid(folder / f"{stem}.uid")
        except Timeout:
            raise DeviceError(
                f"another worker has the device {device.name} ({folder} is locked): stop that one first, or set "
                "NIGHTSHIFT_DEVICE to another device"
            ) from None
        except OSError as error:
            raise DeviceError(
                f"{folder} cannot be written ({error.strerror}): choose another NIGHTSHIFT_DATA_DIR"
            ) from error

    def release(self) -> None:
        """Let another process have it."""
        self._lock.release()


def _uid(file: Path) -> str:
    """Return what an earlier holder wrote there, if it was on this machine and for this very file.

    A copy of the folder, in another place or in another machine's image, is another lock: the boots that had the first
    one may live. A file that was cut short is written anew.
    """
    place = {"machine": machine_identity(), "file": str(file.resolve()), "folder": file.parent.stat().st_ino}
    try:
        found = json.loads(file.read_text())
        if found["place"] == place and _UID.fullmatch(found["uid"]):
            return str(found["uid"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        pass  # None was written yet, or none that means anything: it is written below.
    uid = uuid4().hex
    file.write_text(json.dumps({"uid": uid, "place": place}))
    return uid


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
