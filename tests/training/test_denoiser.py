"""What the denoiser is trained with, and what its last stage aims at."""

import pytest
import torch

from training import denoiser
from training.captions import NO_COLOUR, NO_KIND
from training.denoiser import GUIDANCE, STRENGTH, Latents

CAPTIONS = 3


@pytest.fixture(scope="module")
def data():
    """Latents whose first number is their class, with embeddings that hold their colour, their kind and their place."""
    colours, kinds = torch.arange(48) % 12, torch.arange(48) // 12
    latents = torch.zeros(48, 8, 16, 16)
    latents[:, 0] = colours[:, None, None]
    latents[:, 1] = kinds[:, None, None]
    embeddings = torch.zeros(13, 5, CAPTIONS, 77, 64)
    embeddings[..., 0] = torch.arange(13)[:, None, None, None]
    embeddings[..., 1] = torch.arange(5)[:, None, None]
    return Latents(latents, colours, kinds, embeddings.half())


def test_captions_fit_their_pictures_and_some_name_less(data):
    generator = torch.Generator().manual_seed(0)
    seen = {"both": 0, "colour alone": 0, "kind alone": 0, "empty": 0}
    for _ in range(60):
        latents, embeddings = data.batch(generator)
        for latent, embedding in zip(latents, embeddings, strict=True):
            colour, kind = embedding[0, 0], embedding[0, 1]
            assert colour in (latent[0, 0, 0], NO_COLOUR)
            assert kind in (latent[1, 0, 0], NO_KIND)
            name = {(0, 0): "both", (0, 1): "colour alone", (1, 0): "kind alone", (1, 1): "empty"}[
                int(colour == NO_COLOUR), int(kind == NO_KIND)
            ]
            seen[name] += 1
    assert all(seen.values())
    assert 0.08 < seen["empty"] / sum(seen.values()) < 0.16
    assert seen["both"] > sum(seen.values()) / 2


def test_noise_ends_nearly_without_signal():
    left = denoiser.noise_schedule().alphas_cumprod[-1]
    assert 0 < left < 1e-3


def test_training_leaves_the_running_mean_and_brings_the_loss_down(data, monkeypatch):
    monkeypatch.setattr(denoiser, "STEPS", 12)
    torch.manual_seed(0)
    model = denoiser.build()
    losses = list(denoiser.train(model, data, torch.Generator().manual_seed(0)))
    assert len(losses) == 12
    assert min(losses[6:]) < losses[0]


def test_the_last_stage_aims_at_the_strength_that_it_promises(data, monkeypatch):
    """At guidance 7.5 the aim adds what the model before it adds at 2."""
    torch.manual_seed(0)
    model = denoiser.build()
    # Untrained, it hardly looks at captions.
    for name, weights in model.named_parameters():
        if "attn2.to_v" in name or "attn2.to_out.0.weight" in name:
            weights.data *= 8
    noisy, times = torch.randn(2, 8, 16, 16), torch.tensor([500, 900])
    _, embeddings = data.batch(torch.Generator().manual_seed(1))
    caption, empty = embeddings[:2], data.empty.expand(2, -1, -1)

    @torch.no_grad()
    def guided(strength):
        free, bound = model(noisy, times, empty).sample, model(noisy, times, caption).sample
        return free + strength * (bound - free)

    promised, usual = guided(STRENGTH), guided(GUIDANCE)
    monkeypatch.setattr(denoiser, "GUIDED_STEPS", 40)
    monkeypatch.setattr(denoiser, "_BATCH", 8)
    for _ in denoiser.guide(model, data.empty, data, torch.Generator().manual_seed(0)):
        pass
    after = guided(GUIDANCE)
    assert (after - promised).norm() < 0.5 * (usual - promised).norm()
