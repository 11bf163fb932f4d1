"""Passes through the UNet: to the bit the same for one picture and for several, which pixels alone would not show."""

import pytest
import torch

from worker.engine.checkpoints.local_checkpoint import find_checkpoint
from worker.engine.denoising import batch_invariance
from worker.engine.devices.cpu import Cpu
from worker.engine.loading import load_checkpoint

#: Of a guided picture: what it is asked not to be, and to be.
PROMPTS = 2


@pytest.fixture(scope="module")
def unet(settings):
    return load_checkpoint(find_checkpoint("demo"), Cpu("cpu", torch.float32), settings()).pipeline.unet


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request):
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(1)


def passed(unet, latents, texts, pictures):
    batch_invariance.expect(unet, pictures)
    try:
        with torch.inference_mode():
            return unet(latents, torch.tensor(500), encoder_hidden_states=texts, return_dict=False)[0]
    finally:
        batch_invariance.expect(unet, 1)


# A picture of 64x64 has 4 tokens in the deepest block.
@pytest.mark.parametrize(("width", "height"), [(64, 64), (64, 128), (128, 128)])
@pytest.mark.parametrize("pictures", [2, 4, 8, 16])
def test_a_pass_of_several_is_that_of_each(unet, threads, width, height, pictures):
    chance = torch.Generator().manual_seed(1)
    rows = PROMPTS * pictures
    latents = torch.randn((rows, unet.config.in_channels, height // 8, width // 8), generator=chance)
    texts = torch.randn((rows, 77, unet.config.cross_attention_dim), generator=chance)
    together = passed(unet, latents, texts, pictures)
    for place in range(pictures):
        alone = passed(unet, latents[place::pictures], texts[place::pictures], 1)
        assert torch.equal(together[place::pictures], alone)
