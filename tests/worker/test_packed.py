"""Weights in oneDNN's own order: the same picture in any company, and the weights come back to the bit."""

import pytest
import torch
from torch import nn

from worker.engine.checkpoints.local_checkpoint import find_checkpoint
from worker.engine.denoising import batch_invariance, packed
from worker.engine.denoising.registry import forms_of
from worker.engine.devices.cpu import Cpu
from worker.engine.loading import load_checkpoint, load_plain

CPU = Cpu("cpu", torch.float32)
#: Some layers of the demo have fewer, and some have more.
FEWEST = 10_000

pytestmark = pytest.mark.skipif(not packed.can_pack(), reason="this torch has no oneDNN, as on Apple's processors")


def new_unet(settings):
    return load_plain(find_checkpoint("demo"), CPU, torch.float32, settings()).unet


@pytest.fixture(scope="module")
def plain(settings):
    return new_unet(settings)


@pytest.fixture(scope="module")
def unet(settings):
    made = new_unet(settings)
    assert 0 < packed.pack(made, FEWEST) < sum(isinstance(each, nn.Linear | nn.Conv2d) for each in made.modules())
    batch_invariance.make_invariant(made)
    return made


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"], autouse=True)
def threads(request):
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(1)


def inputs(unet, pictures, side):
    chance = torch.Generator().manual_seed(side)
    latents = torch.randn((2 * pictures, unet.config.in_channels, side, side), generator=chance)
    return latents, torch.randn((2 * pictures, 77, unet.config.cross_attention_dim), generator=chance)


def passed(unet, latents, texts, pictures=1):
    if unet in batch_invariance._calls:
        batch_invariance.expect(unet, pictures)
    with torch.no_grad():
        return unet(latents, torch.tensor(500), encoder_hidden_states=texts, return_dict=False)[0]


@pytest.mark.parametrize("side", [8, 16])
@pytest.mark.parametrize("pictures", [2, 8, 16])
def test_a_pass_of_several_is_that_of_each_and_nearly_that_of_weights_as_torch_keeps_them(unet, plain, side, pictures):
    latents, texts = inputs(unet, pictures, side)
    together = passed(unet, latents, texts, pictures)
    for place in range(pictures):
        alone = passed(unet, latents[place::pictures], texts[place::pictures])
        assert torch.equal(together[place::pictures], alone)
    usual = passed(plain, latents, texts)
    assert (together - usual).square().mean().sqrt() < 1e-5 * usual.square().mean().sqrt()


def test_sizes_that_take_turns_give_the_same_to_the_bit(unet):
    def packed_for():
        return [each.packed.size for each in unet.modules() if isinstance(each, packed.PackedLayer)]

    small, large = inputs(unet, 1, 8), inputs(unet, 1, 16)
    first, for_small = passed(unet, *small), packed_for()
    passed(unet, *large)
    # In another size's order a pass takes longer.
    assert packed_for() != for_small
    assert torch.equal(passed(unet, *small), first)
    assert packed_for() == for_small


def test_weights_come_back_to_the_bit_and_what_is_changed_counts(settings, plain):
    made = new_unet(settings)
    packed.pack(made, FEWEST)
    given = inputs(made, 1, 8)
    first = passed(made, *given)
    names = {name for name, each in made.named_modules() if isinstance(each, packed.PackedLayer)}
    # They are in one place alone.
    assert not any(name.removesuffix(".weight") in names for name, _ in made.named_parameters())
    of_plain = dict(plain.named_modules())
    for name in names:
        assert torch.equal(packed.weight_of(made.get_submodule(name)), of_plain[name].weight)
    assert torch.equal(passed(made, *given), first)
    with torch.no_grad():
        packed.weight_of(made.get_submodule(sorted(names)[0])).mul_(1.5)
    assert not torch.equal(passed(made, *given), first)


def test_only_a_checkpoint_of_large_layers_is_packed_and_none_of_it_is_recorded(settings, monkeypatch):
    def loaded():
        return load_checkpoint(find_checkpoint("demo"), CPU, settings())

    assert "traced" in loaded().denoiser.forms
    monkeypatch.setattr(packed.pack, "__defaults__", (FEWEST,))
    found = loaded()
    assert any(isinstance(each, packed.PackedLayer) for each in found.pipeline.unet.modules())
    assert "traced" not in found.denoiser.forms
    assert forms_of(CPU, is_packed=True) == []
