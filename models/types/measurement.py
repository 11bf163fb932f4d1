"""What a load and an attempt measured, as plain values: worker fills them in, and `models` stores them."""

from dataclasses import asdict, dataclass, field, fields

from models.types.identity import Knobs, Weights


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
MEMORY_KINDS = tuple(kind.name for kind in fields(MemoryReading))


def extreme(readings: list[MemoryReading]) -> MemoryReading:
    """Return the worst of each kind: the highest of what is used, the lowest of what is available."""
    worst: dict[str, int | None] = {}
    for kind in MEMORY_KINDS:
        values = [value for reading in readings if (value := getattr(reading, kind)) is not None]
        pick = min if kind == "available" else max
        worst[kind] = pick(values) if values else None
    return MemoryReading(**worst)


@dataclass(frozen=True)
class UsedLora:
    """A LoRA that a picture was made with."""

    name: str
    scale: float
    #: Of its file's tensors.
    sha256: str


@dataclass(frozen=True)
class LoadMeasurement:
    """What bringing weights to the device and warming up took; memory is before the one and after the other."""

    weights: Weights
    #: Commit of a hub repository, or sha256 of local files.
    revision: str
    knobs: Knobs
    load_s: float
    warmup_s: float
    warmup_steps: int
    before: MemoryReading
    after: MemoryReading


@dataclass(frozen=True)
class Timings:
    """Seconds that each part of an attempt took, in their order; None is "not measured"."""

    encode_s: float | None = None
    denoise_s: float | None = None
    decode_s: float | None = None
    #: Looking at the decoded picture: whether all of it is finite, and harmless where the safety checker is on.
    validate_s: float | None = None
    #: Encoding and writing the picture's file, which goes on beside the device.
    save_s: float | None = None


#: The parts of an attempt, in their order, and those of them that the device is busy with.
PARTS = tuple(part.name.removesuffix("_s") for part in fields(Timings))
DEVICE_PARTS = tuple(part for part in PARTS if part != "save")
_MOMENTS = ("before", "peak", "after")


@dataclass(frozen=True)
class Measurement:
    """What an attempt measured: durations in seconds, memory in bytes; None is "not measured"."""

    first_of_boot: bool = False
    cold: bool = False
    #: For how long the device waited before it, where the job was there to be had.
    gap_s: float | None = None
    #: For how long the machine slept since the picture before.
    slept_s: float | None = None
    timings: Timings = field(default_factory=Timings)
    #: For how long the device was busy with it.
    total_s: float | None = None
    steps_per_s: float | None = None
    #: How many pictures were made in the same call, this one counted; what is in seconds here is its share of that.
    pictures_a_call: int | None = None
    #: The form in which the denoiser worked.
    form: str | None = None
    #: In the order in which they were added to the weights; None where there were none.
    loras: tuple[UsedLora, ...] | None = None
    #: What it took before this picture to have other LoRAs in use, or none.
    switch_s: float | None = None
    made_again: bool = False
    decoded_again: bool = False
    prompt_tokens: int | None = None
    prompt_cut: str | None = None
    picture_bytes: int | None = None
    #: What macOS says of the machine's memory: 1 at ease, 2 warned of, 4 critical.
    memory_pressure: int | None = None
    before: MemoryReading | None = None
    peak: MemoryReading | None = None
    after: MemoryReading | None = None

    def columns(self) -> dict[str, object]:
        """Return the values by the column names of `models.records.tables.Attempt`."""
        nested = ("timings", *_MOMENTS)
        values = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in nested}
        values["loras"] = self.loras and [asdict(lora) for lora in self.loras]
        values |= asdict(self.timings)
        for moment in _MOMENTS:
            reading: MemoryReading | None = getattr(self, moment)
            if reading is not None:
                values |= reading.columns(moment)
        if "available_peak_bytes" in values:
            values["available_lowest_bytes"] = values.pop("available_peak_bytes")
        return values
