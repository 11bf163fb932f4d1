"""What is in force of how a batch's pictures are made, and what it won."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from models.tuning import CallKind, Candidate, Trials, read_trials
from models.types.identity import Kind


@dataclass(frozen=True)
class Tuned:
    """How pictures of one size and scheduler are made in the least time on a device, where enough wait."""

    width: int
    height: int
    guided: bool
    scheduler: str
    device_name: str
    candidate: Candidate
    #: As one picture a call in the usual form.
    times_as_fast: float


def known_tuning(folder: Path) -> Mapping[CallKind, Trials]:
    """Return what workers have found out, nothing where that cannot be read: `producer tune` says why."""
    try:
        return read_trials(folder)
    except OSError:
        return {}


def tuned(known: Mapping[CallKind, Trials], device_names: Iterable[str], kinds: Iterable[Kind]) -> list[Tuned]:
    """Return what is known of these devices and kinds of jobs, where there was anything to choose from."""
    made = {(kind.width, kind.height, kind.guided, kind.scheduler) for kind in kinds}
    names = set(device_names)
    found = []
    for call, trials in known.items():
        picture = (call.width, call.height, call.guided, call.scheduler)
        gain = trials.gain(best := trials.fastest())
        if call.device_name in names and picture in made and len(trials.of) > 1 and gain is not None:
            found.append(Tuned(*picture, call.device_name, best, gain))
    return found
