"""What a service manager is asked for; each is a subclass, in a module of its own."""

import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.private_folders import make_private_folder
from models.types.errors import NightshiftError
from models.types.printable import has_control_characters, printable

#: Names of all services begin so; that of one for a device of several goes on with the device's.
NAME = "nightshift-worker"
#: Seconds that the running picture has to be finished in before it is killed, and made again later.
STOP_S = 600
#: Seconds between two starts: a worker that cannot start does not try without pause.
PAUSE_S = 10


@dataclass(frozen=True)
class Service:
    """A worker to be kept running."""

    name: str
    #: The worker's current folder, where its log is, too.
    folder: Path
    environment: Mapping[str, str]
    python: str = sys.executable

    def __post_init__(self) -> None:
        """Refuse what would be more than a value in a manager's file.

        Raises:
            NightshiftError: naming the variable.
        """
        for what, value in {"the name": self.name, "the folder": str(self.folder), **self.environment}.items():
            if has_control_characters(what + value):
                raise NightshiftError(f"{printable(what)} holds a line break or another control character")

    @property
    def command(self) -> list[str]:
        """What starts the worker."""
        return [self.python, "-m", "celery", "-A", "worker", "worker"]


class Manager(ABC):
    """Starts services with the machine or the login, and again as they end."""

    #: The program that it is told by, and the ending of its files.
    program: str
    suffix: str

    @property
    @abstractmethod
    def folder(self) -> Path:
        """Where its files are."""

    @abstractmethod
    def text(self, service: Service) -> str:
        """Return the file of a service."""

    def files(self, service: Service) -> dict[Path, str]:
        """Return all files of a service, which only its user may read, and what is in them."""
        return {self.file(service.name): self.text(service)}

    @abstractmethod
    def start(self, name: str) -> None:
        """Have a service whose file is there run from now on."""

    @abstractmethod
    def stop(self, name: str) -> None:
        """End a service, and have it not start again; returns once its picture is finished."""

    @abstractmethod
    def state(self, name: str) -> str:
        """Return the manager's own word for how it is."""

    def file(self, name: str) -> Path:
        """Return where the file of a service is."""
        return self.folder / f"{name}{self.suffix}"

    def installed(self) -> list[str]:
        """Return the names of all services that are there."""
        return sorted(path.name.removesuffix(self.suffix) for path in self.folder.glob(f"{NAME}*{self.suffix}"))

    def install(self, service: Service) -> Path:
        """Write the service's file and start it, in the place of one of that name; return the file.

        Raises:
            NightshiftError: if the file cannot be written, or the manager refuses.
        """
        file = self.file(service.name)
        if service.name in self.installed():
            self.stop(service.name)
        try:
            make_private_folder(service.folder)
            file.parent.mkdir(parents=True, exist_ok=True)
            # A URL in it may hold a password.
            for path, text in self.files(service).items():
                path.touch(mode=0o600)
                path.chmod(0o600)
                path.write_text(text)
        except OSError as error:
            raise NightshiftError(f"{file} cannot be written: {error.strerror}") from error
        self.start(service.name)
        return file

    def remove(self, name: str) -> None:
        """End a service and remove its file.

        Raises:
            NightshiftError: if the manager refuses.
        """
        self.stop(name)
        self.file(name).unlink()

    def tell(self, *arguments: str, may_fail: bool = False) -> str:
        """Run the manager's program and return what it says.

        Raises:
            NightshiftError: if it fails, with its last line.
        """
        program = shutil.which(self.program)
        if program is None:
            raise NightshiftError(f"{self.program} is not on the path: a service cannot be looked after here")
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0 and not may_fail:
            said = (done.stderr or done.stdout).strip().splitlines() or [f"exit status {done.returncode}"]
            raise NightshiftError(f"{self.program} {' '.join(arguments)}: {said[-1]}")
        return done.stdout
