"""A UNet that works in one form or another, call by call, and tells whether a form gives what the usual one gives."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.tuning import USUAL, Candidate
from models.types.errors import NightshiftError
from worker.engine.denoising import batch_invariance
from worker.engine.denoising.form import Form
from worker.engine.devices.cpu import Cpu
from worker.engine.devices.device import Device

#: How far a pass may be from the usual one where it is not the same to the bit, as the root of the mean square and a
#: share of the pass: two roundings of a half-precision number, and some more of float32, whose sums are long.
_ROUNDING = {torch.float16: 2e-3, torch.bfloat16: 1.6e-2, torch.float32: 1e-5}


class CandidateError(NightshiftError):
    """A candidate gives other pictures than it should, or none; says what is wrong with it."""


@dataclass
class Work:
    """How a call is to be made, and what was found out while it was."""

    candidate: Candidate
    #: Whether passes are held against those of one picture in the usual form: the first one and the last.
    is_compared: bool
    last_pass: int
    passes: int = 0
    #: Whether the form was made ready in it, and the seconds that took, and that comparing took.
    made_ready: bool = False
    ready_s: float = 0.0
    compare_s: float = 0.0
    #: The largest that was found; None where nothing was compared.
    difference: float | None = None


class Denoiser:
    """Takes the place of a UNet's own pass."""

    def __init__(self, unet: nn.Module, device: Device, forms: Sequence[Form]) -> None:
        """Have the UNet be made invariant first."""
        self._unet = unet
        self._device = device
        self._forms = {form.name: form for form in forms}
        self._forward = unet.forward
        unet.forward = self._pass
        self._entered: Form | None = None
        self._work: Work | None = None
        self._ready: set[Candidate] = set()

    @property
    def forms(self) -> list[str]:
        """The names of the forms that may be tried, the usual one not among them."""
        return list(self._forms)

    def expected_s(self, form: str) -> float:
        """Return how long it takes to make a form ready, as far as that can be said before."""
        return self._forms[form].expected_s

    def is_ready(self, candidate: Candidate) -> bool:
        """Tell whether such calls begin at once."""
        return candidate.form == USUAL or candidate in self._ready

    def work(self, candidate: Candidate, steps: int, *, compare: bool = False) -> Work:
        """Have the next calls be made so, where they make as many pictures, and return what is found out."""
        self._work = Work(candidate, compare, steps - 1)
        return self._work

    def _pass(self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, **options: Any) -> Any:
        work = self._work
        is_plain = all(value is None for name, value in options.items() if name != "return_dict")
        pictures = batch_invariance.expected(self._unet)
        if work is None or pictures != work.candidate.size or not is_plain or options.get("return_dict", True):
            self._enter(None)
            return self._forward(sample, timestep, encoder_hidden_states=encoder_hidden_states, **options)
        made = self._run(work, sample, timestep, encoder_hidden_states)
        if work.is_compared and work.passes in (0, work.last_pass):
            self._compare(work, made, sample, timestep, encoder_hidden_states)
        work.passes += 1
        return (made,)

    def _usual(self, sample: Tensor, timestep: Tensor, texts: Tensor) -> Tensor:
        made: Tensor = self._forward(sample, timestep, encoder_hidden_states=texts, return_dict=False)[0]
        return made

    def _run(self, work: Work, *given: Tensor) -> Tensor:
        form = self._forms.get(work.candidate.form)
        if form is None:
            self._enter(None)
            return self._usual(*given)
        try:
            # Not with each pass: the device would wait for Python each time.
            begun = self._now() if work.passes == 0 else None
            self._enter(form)
            form.prepare(self._unet, self._usual, *given)
            if begun is not None:
                work.ready_s = self._now() - begun
                work.made_ready = work.candidate not in self._ready
                self._ready.add(work.candidate)
            return form.run(self._usual, *given)
        except Exception as error:
            self._enter(None)
            reason = str(error).strip().splitlines() or [""]
            raise CandidateError(f"failed ({type(error).__name__}: {reason[0][:200]})") from error

    def _compare(self, work: Work, made: Tensor, sample: Tensor, timestep: Tensor, texts: Tensor) -> None:
        """Hold the first picture's rows, one for each of its prompts, against a pass of theirs alone.

        Raises:
            CandidateError: if they are others.
        """
        begun, pictures = self._now(), work.candidate.size
        self._enter(None)
        batch_invariance.expect(self._unet, 1)
        try:
            alone = self._usual(sample[::pictures], timestep, texts[::pictures]).float()
        finally:
            batch_invariance.expect(self._unet, pictures)
        work.compare_s += self._now() - begun
        if not torch.isfinite(alone).all():
            # Whose fault that is shows when the picture is made once more.
            return
        difference = float((made[::pictures].float() - alone).square().mean().sqrt() / alone.square().mean().sqrt())
        work.difference = max(difference, work.difference or 0.0)
        allowed = 0.0 if self._device.kind == Cpu.kind else _ROUNDING[sample.dtype]
        # NaN is no difference that is allowed.
        if not difference <= allowed:
            raise CandidateError(f"gives other pictures (a pass is off by {difference:.1e}, rounding is {allowed:.1e})")

    def _enter(self, form: Form | None) -> None:
        if form is self._entered:
            return
        if self._entered is not None:
            self._entered.leave(self._unet)
        # Should entering fail, leaving puts back what was changed.
        self._entered = form
        if form is not None:
            form.enter(self._unet)

    def _now(self) -> float:
        self._device.synchronize()
        return time.perf_counter()
