"""The option by which commands are told for which devices of this machine."""

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from producer.local.probe import probe_device

_Function = TypeVar("_Function", bound=Callable[..., Any])


def device_option(text: str) -> Callable[[_Function], _Function]:
    """Return the option, to be given several times; the command takes it as `devices`."""
    return click.option("--device", "devices", multiple=True, metavar="NAME", callback=_known, help=text)


def named_devices(devices: Sequence[str]) -> tuple[str, ...]:
    """Return the devices, each once; all of this machine where one of them is `all`.

    Raises:
        DeviceError: if they cannot be asked for.
    """
    return tuple(probe_device()["devices"]) if "all" in devices else tuple(dict.fromkeys(devices))


def _known(_context: click.Context, _option: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not re.fullmatch(r"all|mps|cuda(:\d+)?|cpu", name):
            raise click.BadParameter(f"{name} is none of all, mps, cuda, cuda:N, cpu")
    return names
