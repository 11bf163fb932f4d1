"""What one attempt measured, as plain values: worker fills them in, `models.attempts` stores them."""

from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True)
class MemoryReading:
    """Memory in bytes at one moment; None where this machine has no such counter."""

    rss: int | None = None
    device_allocated: int | None = None
    #: What the driver holds for this process, cached blocks included.
    device_driver: int | None = None
    #: What the machine could still hand out without swapping.
    available: int | None = None
    swap: int | None = None

    def columns(self, moment: str) -> dict[str, int | None]:
        """Return column names and values, such as `rss_before_bytes` for moment `before`."""
        return {f"{name}_{moment}_bytes": value for name, value in asdict(self).items()}


#: The kinds of memory, in the order in which they are shown.
MEMORY_KINDS = tuple(field.name for field in fields(MemoryReading))


def extreme(readings: list[MemoryReading]) -> MemoryReading:
    """Return the worst of each kind: the highest of what is used, the lowest of what is available."""
    worst: dict[str, int | None] = {}
    for kind in MEMORY_KINDS:
        values = [value for reading in readings if (value := getattr(reading, kind)) is not None]
        pick = min if kind == "available" else max
        worst[kind] = pick(values) if values else None
    return MemoryReading(**worst)


@dataclass
class Measurement:
    """Durations in seconds, memory in bytes; None is "not measured"."""

    first_of_boot: bool = False
    cold: bool = False
    gap_s: float | None = None
    encode_s: float | None = None
    denoise_s: float | None = None
    decode_s: float | None = None
    check_s: float | None = None
    save_s: float | None = None
    total_s: float | None = None
    steps_per_s: float | None = None
    decoded_again: bool = False
    prompt_tokens: int | None = None
    prompt_cut: str | None = None
    picture_bytes: int | None = None
    before: MemoryReading | None = None
    peak: MemoryReading | None = None
    after: MemoryReading | None = None

    def columns(self) -> dict[str, object]:
        """Return the values by the column names of `models.tables.Attempt`."""
        values = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in ("before", "peak", "after")
        }
        for moment in ("before", "peak", "after"):
            reading: MemoryReading | None = getattr(self, moment)
            if reading is not None:
                values |= reading.columns(moment)
        if "available_peak_bytes" in values:
            values["available_lowest_bytes"] = values.pop("available_peak_bytes")
        return values
