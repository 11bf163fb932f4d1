"""`producer service`."""

import os

import click

from models.broker_url import shown_broker_url
from models.settings import PREFIX, Settings, load_settings, without_password
from models.types.errors import NotFoundError
from models.types.printable import printable
from producer.commands.machine.devices import device_option, named_devices
from producer.local.services.manager import NAME, Service
from producer.local.services.registry import service_manager

#: Variables of other programs that a worker looks at, too.
_OTHERS = ("HF_HOME", "HF_ENDPOINT", "HF_TOKEN", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")


@click.group
def command() -> None:
    """Keep a worker running, from the login or the machine's start on: by launchd on macOS, by systemd on Linux.

    It is started again when it ends for a reason that a new process mends, and not when a setting is wrong.
    """
    load_settings()


@command.command
@device_option("A worker for this device; several times, one each; all: one a GPU. Default: the settings' device.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def install(devices: tuple[str, ...], *, yes: bool) -> None:
    """Write the service, with the settings in force, and start it; again to change them.

    What a worker is started with, and where each value came from, is shown first.
    """
    settings, manager = load_settings(), service_manager()
    services = {device: _service(settings, device) for device in named_devices(devices) or (None,)}
    for device, service in services.items():
        click.echo(f"{service.name} is to run `{' '.join(service.command)}` in {service.folder} with")
        for name, value in service.environment.items():
            origin = _origin(settings, name) if (name, value) != (f"{PREFIX}DEVICE", device) else "--device"
            click.echo(f"  {name}={_shown(name, value)}  [{origin}]")
    if not yes:
        click.confirm("Install it?", abort=True)
    for service in services.values():
        file = manager.install(service)
        click.echo(f"{service.name} is {manager.state(service.name)}: {file}")


@command.command
def remove() -> None:
    """End all workers that were installed so, once their pictures are finished, and remove their services."""
    manager = service_manager()
    names = manager.installed()
    if not names:
        raise NotFoundError("no service is installed: `producer service install` does that")
    for name in names:
        manager.remove(name)
        click.echo(f"{name} is removed")


@command.command
def status() -> None:
    """Say which services are installed, and how the manager has them; `producer status` says what workers are at."""
    manager = service_manager()
    names = manager.installed()
    if not names:
        click.echo("no service is installed: `producer service install` does that")
    for name in names:
        click.echo(f"{name}: {manager.state(name)}, {manager.file(name)}")


def _service(settings: Settings, device: str | None) -> Service:
    """Return the service of one worker: what was set by hand goes with it, since it will not see this terminal."""
    by_hand = {
        (PREFIX + name).upper(): str(getattr(settings, name))
        for name in Settings.model_fields
        if settings.origin(name) != "default"
    }
    data_dir = settings.data_dir.absolute()
    values = by_hand | {f"{PREFIX}DATA_DIR": str(data_dir)}
    if device is not None:
        values[f"{PREFIX}DEVICE"] = device
    values |= {name: os.environ[name] for name in _OTHERS if name in os.environ}
    name = NAME if device is None else f"{NAME}-{device.replace(':', '-')}"
    return Service(name, data_dir, values)


def _origin(settings: Settings, variable: str) -> str:
    """Say where a variable's value came from."""
    field = variable.removeprefix(PREFIX).lower()
    if variable.startswith(PREFIX) and field in Settings.model_fields:
        return settings.origin(field)
    return "environment"


def _shown(name: str, value: str) -> str:
    """Return a value as it may be shown."""
    if name == "HF_TOKEN":
        return "***"
    if name == f"{PREFIX}BROKER_URL":
        return shown_broker_url(value)
    return without_password(value) if name == f"{PREFIX}DATABASE_URL" and value else printable(value)
