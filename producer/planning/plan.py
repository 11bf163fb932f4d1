"""Planning: what the lines and the flags ask for, as the jobs of one batch."""

import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from models.checkpoints import (
    DEFAULTS_FILE,
    DEMO,
    CheckpointDefaults,
    canonical_checkpoint,
    checkpoint_defaults,
    why_never_loaded,
)
from models.records.batches import Acceptance, Fingerprint, PlannedJob
from models.settings import PREFIX
from models.types.errors import CheckpointError
from models.types.identity import Kind
from models.types.job import DRAWN_SEEDS, MAX_SEED, CheckpointName, JobSpec
from models.types.lora import taken_out
from models.types.presets import EXACT, PRESETS, preset_of
from models.types.schedulers import SCHEDULERS
from producer.planning.planned_jobs import PlannedJobs, jobs_for
from producer.prompts.problems import Problems, place, visible
from producer.prompts.request import Request

#: Pictures that one prompt may ask for.
MAX_COUNT = 10_000
#: Jobs of one batch; recording them holds the database for half a minute, in which no worker can write.
MAX_JOBS = 1_000_000
_CHECKPOINT_NAME = TypeAdapter[str](CheckpointName)


@dataclass(frozen=True)
class Plan:
    """The jobs of one batch in the order of the requests, and the digest of what was asked for."""

    jobs: PlannedJobs
    fingerprint: str
    #: How many jobs there are of each kind, the first job's kind first.
    kinds: Counter[Kind]
    #: How many pictures the prompts ask for by themselves, without a target.
    asked: int
    #: The LoRAs that jobs name, each with the line that names it first.
    loras: Mapping[str, int | None]

    @property
    def checkpoints(self) -> list[str]:
        """What the jobs need, the first job's first."""
        return list(dict.fromkeys(kind.checkpoint for kind in self.kinds))


def plan_jobs(
    requests: Iterable[Request],
    flags: Mapping[str, object],
    default_checkpoint: str,
    source: str,
    acceptance: Acceptance | None = None,
    problems: Problems | None = None,
) -> Plan:
    """Settle every value: a line's own, else the flag's, else the checkpoint's default.

    A request for several pictures takes as many seeds in a row. Where no seed is asked for, they follow those of the
    request before, the very first is drawn, and the fingerprint leaves them out. `flags` holds those that were given,
    by the fields' names; `source` is what the requests were read from. A target in `acceptance` decides how many jobs
    there are. `problems` is what those who read the requests add to.

    Raises:
        BadInputError: naming every line, and once every flag, that cannot be used.
    """
    problems = Problems() if problems is None else problems
    orders = _Orders(flags, default_checkpoint, source, problems)
    # The flags alone first: a wrong one is a mistake even where every line overrides it.
    orders.settle(Request(None, {"prompt": "any", "checkpoint": DEMO, **orders.given}))
    jobs, kinds, digest = PlannedJobs(), Counter[Kind](), Fingerprint()
    loras: dict[str, int | None] = {}
    for request in requests:
        order = orders.settle(request)
        if order is None:
            continue
        if len(jobs) + order.count > MAX_JOBS:
            problems.add(place(source), f"asks for over {MAX_JOBS:,} pictures; split it into batches, or see --limit")
            break
        seed_asked = "seed" in request.values or "seed" in orders.given
        kinds[Kind.of(order.spec)] += order.count
        for lora in order.spec.loras:
            loras.setdefault(lora.name, request.line)
        for seed in range(order.spec.seed, order.spec.seed + order.count):
            spec = order.spec.model_copy(update={"seed": seed})
            jobs.append(PlannedJob(spec, request.line, request.attributes))
            digest.add(spec, seed_asked=seed_asked, drawn_from=request.drawn_from)
    problems.refuse()
    asked, acceptance = len(jobs), acceptance or Acceptance()
    digest.add_acceptance(acceptance)
    if acceptance.target is not None:
        jobs = jobs_for(acceptance.target, jobs)
        kinds = Counter(Kind.of(job.spec) for job in jobs)
    return Plan(jobs, digest.hex(), kinds, asked, loras)


class _Order(BaseModel):
    """One request with every value settled: its first picture, and how many there are."""

    spec: JobSpec
    count: int = Field(ge=1, le=MAX_COUNT)


#: What pydantic would turn into a number although it is none: JSON's true, and 1.5 or 1.0 for a whole one.
_NO_NUMBERS: Mapping[str, tuple[type, ...]] = {
    name: (bool, float) if field.annotation is int else (bool,) if field.annotation is float else ()
    for name, field in (JobSpec.model_fields | _Order.model_fields).items()
}


class _Orders:
    """Settles requests one by one and keeps what is wrong with them."""

    def __init__(self, flags: Mapping[str, object], default_checkpoint: str, source: str, problems: Problems) -> None:
        self.given = flags
        self._problems = problems
        self._default_checkpoint = default_checkpoint
        self._source = source
        self._look_up = cache(_look_up)
        #: The seed of the next request that asks for none. One is drawn and the others follow: of many drawn ones two
        #: would be the same, and the same prompt may stand in many lines.
        self._drawn = secrets.randbelow(DRAWN_SEEDS)

    def settle(self, request: Request) -> _Order | None:
        """Return the order, or None where its values do not hold, which is noted."""

        def complain(name: str, what: str) -> None:
            self._problems.add(self._origin(request, name), what)

        # Whoever read a request without a prompt has said so; its other values are looked at all the same.
        is_whole = "prompt" in request.values
        asked = {"prompt": "any", "checkpoint": self._default_checkpoint, "count": 1, **self.given, **request.values}
        if isinstance(asked["prompt"], str):
            asked["prompt"], tags = taken_out(asked["prompt"])
            if tags and isinstance(lora := asked.get("lora", ""), str):
                # A1111's syntax adds to what is asked for beside it.
                asked["lora"] = f"{lora}, {tags}"
        checkpoint, defaults, problem = asked["checkpoint"], CheckpointDefaults().model_dump(), None
        if isinstance(checkpoint, str):
            checkpoint, defaults, problem = self._look_up(checkpoint)
        if problem:
            complain("checkpoint", problem)
        if not str(asked["prompt"]).strip():
            complain("prompt", "is empty; write what the picture shows")
            is_whole = False
        settled, twice = _settled_by_preset(self.given, request.values)
        if twice:
            decided = " and ".join(settled)
            complain("preset", f"{asked['preset']} decides {decided}: leave out {' and '.join(twice)}, or the preset")
            return None
        asked |= settled
        if needed := preset_of(asked.get("preset")).lora:
            asked["lora"] = _with_lora(asked.get("lora", ""), needed)
        # No field takes None, so that stands in for what pydantic would wrongly take.
        values = {name: None if isinstance(value, _NO_NUMBERS[name]) else value for name, value in asked.items()}
        values = {"seed": self._drawn, **defaults, **values, "checkpoint": checkpoint}
        try:
            order = _Order.model_validate({"count": values.pop("count"), "spec": values})
        except ValidationError as refused:
            for error in refused.errors(include_url=False):
                name = str(error["loc"][-1])
                complain(name, _phrase(name, asked.get(name, error["input"]), error))
            return None
        most_steps = SCHEDULERS[order.spec.scheduler].most_steps
        if most_steps is not None and order.spec.steps > most_steps:
            complain("steps", f"{order.spec.steps} are too many for {order.spec.scheduler}, which takes {most_steps}")
            return None
        if order.spec.seed + order.count - 1 > MAX_SEED:
            name = "count" if "count" in request.values and "seed" not in request.values else "seed"
            complain(name, f"{order.count:,} seeds from {order.spec.seed} on run past the largest, {MAX_SEED}")
            return None
        if "seed" not in asked:
            self._drawn += order.count
        return order if is_whole else None

    def _origin(self, request: Request, name: str) -> str:
        if name in request.values and request.origin is not None:
            return f"{place(request.origin)}: {name}"
        if name in request.values and request.line is not None:
            return f"{place(self._source, request.line)}: {name}"
        if name in request.values or name in self.given:
            return f"--{name.replace('_', '-')}"
        if name == "checkpoint":
            return f"{PREFIX}CHECKPOINT"
        checkpoint = request.values.get("checkpoint", self.given.get("checkpoint", self._default_checkpoint))
        return f"{place(f'{checkpoint}/{DEFAULTS_FILE}')}: {name}"


def _settled_by_preset(
    flags: Mapping[str, object], own: Mapping[str, object]
) -> tuple[Mapping[str, object], list[str]]:
    """Return what a line's preset, else the flag's, settles of a job, and what was asked for beside it all the same.

    What a line says itself goes before a flag: its preset before the flags' steps, its steps before the flags' preset.
    """
    by_line = "preset" in own
    settled = preset_of(own.get("preset", flags.get("preset"))).settles

    def others(asked: Mapping[str, object]) -> list[str]:
        # What a page gives to make a picture again names both.
        return [name for name, value in settled.items() if not _is_same(asked.get(name, value), value)]

    if not by_line and others(own):
        return {"preset": EXACT}, []
    return settled, others(own if by_line else flags)


def _is_same(asked: object, value: object) -> bool:
    """Tell whether two values are the same, of which one may be text of a CSV file."""
    try:
        return float(str(asked)) == float(str(value))
    except ValueError:
        return str(asked).lower() == str(value).lower()


def _with_lora(asked: object, needed: str) -> object:
    """Return the LoRAs that are asked for with one more, unless it is among them."""
    if not isinstance(asked, str):
        return asked
    named = {part.partition(":")[0].strip() for part in asked.split(",")}
    return asked if needed in named else f"{asked}, {needed}"


def _look_up(name: str) -> tuple[str, dict[str, object], str | None]:
    """Return a checkpoint's canonical name, its defaults, and what is wrong with it if anything is."""
    checkpoint, defaults, problem = name, CheckpointDefaults(), None
    try:
        checkpoint = canonical_checkpoint(_CHECKPOINT_NAME.validate_python(name))
        problem = why_never_loaded(checkpoint)
        defaults = checkpoint_defaults(checkpoint)
    except ValidationError:
        pass  # JobSpec refuses the same name and says why.
    except OSError as error:
        problem = f"{visible(name)} cannot be looked up: {error.strerror or error}"
    except RuntimeError:  # pathlib's word for it
        problem = f"{visible(name)} starts with a user whom this machine does not know"
    except CheckpointError as error:
        problem = " ".join(str(error).split())
    return checkpoint, defaults.model_dump(), problem


def _phrase(name: str, value: object, error: ErrorDetails) -> str:
    if isinstance(value, (list, tuple, dict)):
        return "is a list or an object; write text or a number"
    match error["type"]:
        case "int_type" | "int_parsing" | "int_from_float":
            return f"{visible(value)} is not a whole number"
        case "float_type" | "float_parsing":
            return f"{visible(value)} is not a number"
        case "greater_than_equal" | "less_than_equal" | "finite_number" | "int_parsing_size":
            # A number from a CSV file is text, but reads as a number.
            number = visible(value).strip("'")
            return f"{number} is not between {_bound(name, 'minimum')} and {_bound(name, 'maximum')}"
        case "string_type":
            return f"{visible(value)} is not text"
        case "string_unicode":
            return f"{visible(value)} holds half of a surrogate pair, which is no character"
        case "string_too_short":
            return "is empty"
        case "string_too_long":
            return f"is {len(error['input']):,} characters long, the most is {error['ctx']['max_length']:,}; shorten it"
        case "value_error" if name == "preset":
            return f"no preset is called {visible(value)}; there are {', '.join(PRESETS)}"
        case "value_error" if name == "scheduler":
            return f"no scheduler is called {visible(value)}; there are {', '.join(SCHEDULERS)}"
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            return error["msg"]


@cache
def _bound(name: str, side: str) -> int:
    model = _Order if name == "count" else JobSpec
    return int(model.model_json_schema()["properties"][name][side])


@dataclass(frozen=True)
class Order:
    """The jobs of one batch, and what is asked for beside them."""

    plan: Plan
    name: str | None
    source: str
    queue: str
    priority: int
    acceptance: Acceptance = field(default_factory=Acceptance)
    #: Whether it is to be made although a batch asks for the same.
    new: bool = False
