"""The findings of `producer doctor`: a line each, and what to do where one is wrong."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psutil
import redis

from models.broker_url import shown_broker_url
from models.figures.progress import count_jobs
from models.pictures.opening import open_store
from models.records.database import Database
from models.settings import PREFIX, Settings, unknown_names, without_password
from models.types.errors import NightshiftError
from producer.format import MEMORY_WORDS, NOT_MEASURED, seconds, size
from producer.local.probe import DEVICE_CHECK, check_device, probe_device

#: Below these a night's work is in danger: SD 1.5 peaks near 10 GB, a 512x512 PNG is half a megabyte.
_LITTLE_MEMORY, _LITTLE_DISK = 4e9, 5e9


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis; `remedy` is None where nothing is wrong."""

    name: str
    found: str
    remedy: str | None = None


def diagnose(settings: Settings) -> Iterator[Finding]:
    """Yield each finding as it is made."""
    try:
        probe = probe_device()
    except NightshiftError as error:
        probe = {}
        yield Finding("device", "cannot be asked", str(error))
    else:
        yield from _device(probe)
        yield _awake(settings, probe)
    yield _memory()
    yield _disk(settings)
    for look_at in (_redis, _database):
        yield look_at(settings)
    if probe:
        yield _checkpoint(settings, probe)
    yield from _pictures(settings)
    yield from _settings(settings)


def diagnose_device(checkpoint: str, program: str = DEVICE_CHECK) -> Iterator[Finding]:
    """Yield what came of a small picture that the module `program` made on the device, held against the CPU's."""
    try:
        found = check_device(checkpoint, program)
    except NightshiftError as error:
        found = {"error": str(error)}
    if "error" in found:
        yield Finding("device check", "no picture", found["error"])
        return
    device = f"{found['device']} ({found['device_name']})"
    yield Finding(
        "device check",
        f"{found['width']}x{found['height']} in {found['steps']} steps took {seconds(found['device_s'])} in "
        f"{found['dtype']} on {device}, {seconds(found['cpu_s'])} in float32 on the CPU",
    )
    wrong = (
        "what this device makes cannot be trusted: update the system or the driver, try NIGHTSHIFT_DTYPE=float32, "
        "or set NIGHTSHIFT_DEVICE=cpu"
    )
    yield Finding(
        "device picture",
        f"differs from the CPU's by {found['difference']:.2f} of 255 on average, {found['tolerance']:.2f} is allowed",
        None if found["is_right"] else wrong,
    )
    for kind, words in MEMORY_WORDS.items():
        before, loaded, after = (found["memory"][moment][kind] for moment in ("before", "loaded", "after"))
        figures = f"{size(before)} before the load, {size(loaded)} after it, {size(after)} after the picture"
        yield Finding(words, NOT_MEASURED if before is None else figures)


def _device(probe: dict[str, Any]) -> Iterator[Finding]:
    if "device_error" in probe:
        yield Finding("device", ", ".join(probe["available"]), probe["device_error"])
    else:
        slow = probe["device"] == "cpu"
        note = "; slow: a 512x512 picture takes minutes" if slow else ""
        yield Finding("device", f"{probe['device']}: {probe['device_name']}, {probe['dtype']}{note}")
    yield Finding("versions", ", ".join(f"{name} {version}" for name, version in probe["versions"].items()))


def _awake(settings: Settings, probe: dict[str, Any]) -> Finding:
    if not settings.keep_awake:
        return Finding("awake", "the machine may fall asleep while there are jobs: NIGHTSHIFT_KEEP_AWAKE=false")
    if probe["awake"] is None:
        return Finding("awake", "no caffeinate and no systemd-inhibit here: only this machine's own settings count")
    return Finding("awake", f"while there are jobs, by {probe['awake'][0]}")


def _memory() -> Finding:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    found = f"{size(memory.available)} available of {size(memory.total)}, swap {size(swap.used)} used"
    little = memory.available < _LITTLE_MEMORY
    return Finding(
        "memory", found, "close other applications: Stable Diffusion 1.5 peaks near 10 GB" if little else None
    )


def _disk(settings: Settings) -> Finding:
    folder = settings.data_dir
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(there, os.W_OK):
        return Finding("disk", f"{folder} cannot be written", "choose another folder with NIGHTSHIFT_DATA_DIR")
    free = shutil.disk_usage(there).free
    remedy = "free some space, or move the data with NIGHTSHIFT_DATA_DIR" if free < _LITTLE_DISK else None
    return Finding("disk", f"{size(free)} free at {folder}", remedy)


def _redis(settings: Settings) -> Finding:
    from worker.queue.app import SOCKET_TIMEOUT_S, make_app
    from worker.queue.publishing import explain_broker_error

    app = make_app(settings)

    try:
        with app.connection_for_write(connect_timeout=SOCKET_TIMEOUT_S) as connection:
            connection.connect()
            client: redis.Redis = connection.default_channel.client
            server: dict[str, Any] = client.info("server")
            kept = client.config_get("appendonly").get("appendonly")
    except Exception as error:  # noqa: BLE001 - whatever the transport raises is the finding
        return Finding("redis", "no", str(explain_broker_error(app, error)))
    name = f"valkey {server['valkey_version']}" if "valkey_version" in server else f"redis {server['redis_version']}"
    found = f"{name} at {shown_broker_url(settings.broker_url)}, append-only file {kept or NOT_MEASURED}"
    remedy = "without the append-only file a restart of Redis empties the queue until a worker refills it"
    return Finding("redis", found, remedy if kept == "no" else None)


def _database(settings: Settings) -> Finding:
    try:
        database = Database(settings.database)
        with database.reading() as session:
            jobs = count_jobs(session)
    except NightshiftError as error:
        return Finding("database", "no", str(error))
    return Finding("database", f"{database.shown_url}, version {database.revision()}, {jobs:,} jobs")


def _pictures(settings: Settings) -> Iterator[Finding]:
    """Yield whether the store of pictures does what it has to, where it is not the data folder."""
    if not settings.pictures_url:
        return
    try:
        open_store(settings).check()
    except NightshiftError as error:
        yield Finding("pictures", "no", str(error))
    else:
        yield Finding("pictures", f"in {settings.pictures_url}, which refuses a second picture of one name")


def _checkpoint(settings: Settings, probe: dict[str, Any]) -> Finding:
    if "checkpoint_error" in probe:
        return Finding("checkpoint", f"{settings.checkpoint} is not here", probe["checkpoint_error"])
    return Finding("checkpoint", f"{settings.checkpoint} ({probe['revision'][:19]}) at {probe['checkpoint_path']}")


def _settings(settings: Settings) -> Iterator[Finding]:
    shown: dict[str, Callable[[str], str]] = {"broker_url": shown_broker_url, "database_url": without_password}
    for name in Settings.model_fields:
        value = str(getattr(settings, name))
        text = shown[name](value) if name in shown and value else value
        yield Finding((PREFIX + name).upper(), f"{text or '(empty)'}  [{settings.origin(name)}]")
    for said in unknown_names():
        variable, _, what = said.partition(" ")
        yield Finding(variable, what, "see the list above for what there is")
