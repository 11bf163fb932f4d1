"""The schedulers that a job may name, and what diffusers and A1111 call them.

Names follow A1111's samplers; classes and options are those of diffusers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Scheduler:
    """One scheduler: our name, the diffusers class and the options that its config is overlaid with."""

    name: str
    diffusers_class: str
    options: Mapping[str, object] = field(default_factory=dict)
    #: More than so many it refuses; None where it takes any number.
    most_steps: int | None = None

    @property
    def sampler(self) -> str:
        """What A1111 writes as `Sampler`."""
        return self.name.removesuffix(" Karras")

    @property
    def schedule_type(self) -> str:
        """What A1111 writes as `Schedule type`; Uniform is the plain one, and `Automatic` Karras for some samplers."""
        return "Karras" if self.name.endswith(" Karras") else "Uniform"


_KARRAS = {"use_karras_sigmas": True}
_SDE = {"algorithm_type": "sde-dpmsolver++"}

SCHEDULERS: Mapping[str, Scheduler] = {
    scheduler.name: scheduler
    for scheduler in (
        Scheduler("PNDM", "PNDMScheduler", {"skip_prk_steps": True}),
        Scheduler("DDIM", "DDIMScheduler"),
        Scheduler("Euler", "EulerDiscreteScheduler"),
        Scheduler("Euler Karras", "EulerDiscreteScheduler", _KARRAS),
        Scheduler("Euler a", "EulerAncestralDiscreteScheduler"),
        Scheduler("Heun", "HeunDiscreteScheduler"),
        Scheduler("Heun Karras", "HeunDiscreteScheduler", _KARRAS),
        Scheduler("LMS", "LMSDiscreteScheduler"),
        Scheduler("LMS Karras", "LMSDiscreteScheduler", _KARRAS),
        Scheduler("DPM++ 2M", "DPMSolverMultistepScheduler"),
        Scheduler("DPM++ 2M Karras", "DPMSolverMultistepScheduler", _KARRAS),
        Scheduler("DPM++ 2M SDE", "DPMSolverMultistepScheduler", _SDE),
        Scheduler("DPM++ 2M SDE Karras", "DPMSolverMultistepScheduler", {**_SDE, **_KARRAS}),
        Scheduler("DPM++ SDE", "DPMSolverSinglestepScheduler"),
        Scheduler("DPM++ SDE Karras", "DPMSolverSinglestepScheduler", _KARRAS),
        Scheduler("UniPC", "UniPCMultistepScheduler"),
        Scheduler("DEIS", "DEISMultistepScheduler"),
        # It picks its steps from those that consistency models are trained with, of which diffusers takes 50.
        Scheduler("LCM", "LCMScheduler", most_steps=50),
    )
}

_BY_FOLDED_NAME = {name.casefold(): name for name in SCHEDULERS} | {
    scheduler.diffusers_class.casefold(): name
    for name, scheduler in reversed(list(SCHEDULERS.items()))
    if name == scheduler.sampler
}


def canonical_name(text: str) -> str:
    """Return the scheduler's name as written in `SCHEDULERS`, whatever its case, or by its diffusers class.

    Raises:
        ValueError: if there is no such scheduler; the message lists those there are.
    """
    try:
        return _BY_FOLDED_NAME[" ".join(text.split()).casefold()]
    except KeyError:
        raise ValueError(f"no scheduler is called {text!r}; there are {', '.join(SCHEDULERS)}") from None
