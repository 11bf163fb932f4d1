"""Forms of the denoiser: each gives what the usual one gives, and one that does not is found out at once."""

import pytest
import torch

from models.tuning import USUAL, Candidate
from worker.engine.denoising.attention import PaddedAttention, UnfusedAttention, _padded, _unfused
from worker.engine.denoising.compiled import Compiled, CompiledIntoGraphs
from worker.engine.denoising.denoiser import CandidateError, Denoiser
from worker.engine.denoising.form import Form
from worker.engine.denoising.layout import ChannelsLast
from worker.engine.denoising.registry import forms_of
from worker.engine.denoising.traced import Traced
from worker.engine.devices.cpu import Cpu
from worker.engine.devices.cuda import Cuda
from worker.engine.devices.mps import Mps

CPU = Cpu("cpu", torch.float32)


class Metal(Mps):
    """The processor, which is held to what Metal is: rounding, where the processor has to be the same to the bit."""

    @property
    def torch(self):
        return torch.device("cpu")

    def synchronize(self):
        pass


METAL = Metal("mps", torch.float32)


class Wrong(Form):
    """Gives other pictures: by so much, from the first or from a later pass on."""

    name = "wrong"

    def __init__(self, by=0.1, at=0):
        self.by, self.at, self.passes = by, at, 0

    def run(self, usual, sample, step, texts):
        self.passes += 1
        made = usual(sample, step, texts)
        return made * (1 + self.by) if self.passes > self.at else made


class Raising(Form):
    """Cannot be made ready, or cannot run."""

    name = "raising"

    def __init__(self, where):
        self.where = where

    def enter(self, unet):
        if self.where == "enter":
            raise RuntimeError("no such kernel\nand more")

    def prepare(self, *_):
        if self.where == "prepare":
            raise AssertionError("no such kernel")

    def run(self, usual, *given):
        raise NotImplementedError("no such kernel")


@pytest.fixture(scope="module")
def loaded(load):
    return load()


@pytest.fixture
def denoise(loaded, spec):
    """Return what makes latents by a form, of so many pictures in one call, and says what was found out."""
    unet, usual = loaded.pipeline.unet, loaded.pipeline.unet.forward

    @torch.inference_mode()
    def denoise(form=None, count=2, device=CPU, planned=None, *, compare=True, **values):
        specs = [spec(prompt=f"a red boot {place}", seed=place, **{"steps": 3} | values) for place in range(count)]
        denoiser = Denoiser(unet, device, [form] if form else [])
        candidate = Candidate(planned or count, form.name if form else USUAL)
        work = denoiser.work(candidate, specs[0].steps, compare=compare)
        texts = [loaded.prompt_embeddings.both(each.prompt, each.negative_prompt) for each in specs]
        loaded.pipeline.scheduler = loaded.schedulers.new(specs[0].scheduler)
        try:
            return loaded.family.denoise(loaded.pipeline, texts, specs, lambda _step: None), work
        finally:
            unet.forward = usual

    return denoise


@pytest.mark.parametrize(
    ("scheduler", "count"),
    [("DPM++ 2M", 1), ("PNDM", 2), ("Euler a", 1), ("Heun", 2), ("UniPC", 4), ("DPM++ 2M", 16)],
)
def test_on_the_cpu_a_recording_gives_the_same_to_the_bit(denoise, scheduler, count):
    usual, _ = denoise(count=count, scheduler=scheduler, compare=False)
    traced, work = denoise(Traced(), count, scheduler=scheduler)
    assert torch.equal(traced, usual)
    assert work.difference == 0.0
    assert work.made_ready


@pytest.mark.parametrize(
    "form",
    [
        PaddedAttention(),
        UnfusedAttention(),
        ChannelsLast(),
        Traced(),
        Compiled(backend="eager"),
        CompiledIntoGraphs(backend="eager"),
    ],
    ids=lambda form: form.name,
)
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_form_gives_the_usual_pictures_to_rounding_and_leaves_nothing_behind(denoise, form):
    usual, _ = denoise(compare=False)
    made, work = denoise(form, device=METAL)
    assert work.difference <= 1e-5
    assert torch.allclose(made, usual, atol=1e-3)
    after, _ = denoise(compare=False)
    assert torch.equal(after, usual)


@pytest.mark.parametrize("size", [40, 80, 160, 300])
@pytest.mark.parametrize("attention", [_padded, _unfused], ids=["padded", "unfused"])
def test_attention_of_heads_of_every_size_and_of_many_queries(attention, size):
    generator = torch.Generator().manual_seed(1)
    query, key, value = (torch.randn(2, 3, places, size, generator=generator) for places in (2500, 77, 77))
    made = attention(query, key, value)
    assert made.shape == query.shape
    assert torch.allclose(made, torch.nn.functional.scaled_dot_product_attention(query, key, value), atol=1e-5)


@pytest.mark.parametrize(
    ("form", "device", "is_found_out"),
    [
        (Wrong(), CPU, True),
        (Wrong(1e-6), CPU, True),
        (Wrong(float("nan")), CPU, True),
        (Wrong(), METAL, True),
        (Wrong(1e-4), METAL, True),
        (Wrong(float("nan")), METAL, True),
        # Rounding, on such a device.
        (Wrong(1e-6), METAL, False),
        # Right in the first two passes, and wrong in the last.
        (Wrong(at=2), CPU, True),
    ],
)
def test_a_form_that_gives_other_pictures_is_found_out(denoise, form, device, is_found_out):
    if not is_found_out:
        assert denoise(form, device=device)[1].difference == pytest.approx(1e-6, rel=0.5)
        return
    with pytest.raises(CandidateError, match="gives other pictures"):
        denoise(form, device=device)
    usual, _ = denoise(compare=False)
    assert torch.equal(denoise()[0], usual)


def test_so_is_company_in_which_a_picture_is_another(denoise, loaded):
    def round_otherwise(_module, given, made):
        return made * (1 + 1e-6) if len(given[0]) > 2 else made

    assert denoise(count=4)[1].difference == 0.0
    hook = loaded.pipeline.unet.conv_in.register_forward_hook(round_otherwise)
    try:
        with pytest.raises(CandidateError, match="gives other pictures"):
            denoise(count=4)
        assert denoise(count=1)[1].difference == 0.0
    finally:
        hook.remove()


@pytest.mark.parametrize("where", ["enter", "prepare", "run"])
def test_a_form_that_fails_says_why_in_one_line_and_the_next_call_is_the_usual_one(denoise, where):
    usual, _ = denoise(compare=False)
    with pytest.raises(CandidateError, match=r"^failed \(\w+Error: no such kernel\)$"):
        denoise(Raising(where))
    assert torch.equal(denoise(compare=False)[0], usual)


def test_only_calls_of_the_size_are_made_so(denoise):
    form = Wrong()
    usual, _ = denoise(count=2, compare=False)
    made, work = denoise(form, count=2, planned=4)
    assert torch.equal(made, usual)
    assert (form.passes, work.passes, work.difference) == (0, 0, None)


def test_nothing_is_compared_unless_asked_for_and_then_twice(denoise, loaded):
    rows = []
    hook = loaded.pipeline.unet.conv_in.register_forward_pre_hook(lambda _module, given: rows.append(len(given[0])))
    try:
        denoise(count=4, compare=False, steps=5)
        denoise(count=4, steps=5)
    finally:
        hook.remove()
    assert rows == [8] * 5 + [8, 2, 8, 8, 8, 8, 2]


@pytest.mark.parametrize("device", [CPU, METAL, Cuda("cuda:0", torch.float16)], ids=lambda device: device.kind)
def test_each_device_has_forms_of_its_own_names(device):
    names = [form.name for form in forms_of(device)]
    assert names
    assert len(set(names)) == len(names)
    assert USUAL not in names
