"""Whitening, and what a step of the training changes."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch

from training import autoencoder
from training.pictures import drawn, gathered


@pytest.fixture(scope="module")
def pictures():
    return gathered(list(drawn(48, 0)))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return autoencoder.build().eval()


@torch.inference_mode()
def test_whitened_latents_have_mean_0_and_deviation_1_and_decode_as_before(model, pictures):
    some = pictures.scaled(torch.arange(8))
    before = model.encode(some).latent_dist
    spread = before.std / autoencoder.encoded(model, pictures).std(dim=(0, 2, 3))[:, None, None]
    decoded = model.decode(before.mean).sample
    autoencoder.whiten(model, pictures)
    latents = autoencoder.encoded(model, pictures)
    deviation, mean = torch.std_mean(latents, dim=(0, 2, 3))
    assert torch.allclose(mean, torch.zeros(8), atol=1e-3)
    assert torch.allclose(deviation, torch.ones(8), atol=1e-3)
    after = model.encode(some).latent_dist
    assert torch.allclose(model.decode(after.mean).sample, decoded, atol=1e-3)
    # The noise that a sample has goes with the latents.
    assert torch.allclose(after.std, spread, rtol=1e-2)


def test_training_brings_the_loss_down_and_its_last_steps_leave_the_encoder_alone(model, pictures, monkeypatch):
    monkeypatch.setattr(autoencoder, "_CROPS", 12)
    monkeypatch.setattr(autoencoder, "_WHOLE", 2)
    monkeypatch.setattr(autoencoder, "_NOISY", 2)
    losses, encoders = [], []
    for loss in autoencoder.train(model, pictures, torch.Generator().manual_seed(0)):
        losses.append(loss)
        encoders.append(model.encoder.conv_in.weight.detach().clone())
    assert len(losses) == 16
    assert sum(losses[8:12]) < sum(losses[:4])
    assert torch.equal(encoders[14], encoders[15])
    assert not torch.equal(encoders[12], encoders[13])


def test_the_ratio_is_that_of_the_peak_to_the_error(model, pictures, monkeypatch):
    # Grey, so that nothing is clipped; an error of 0.02 everywhere against values that span 2.
    grey = dataclasses.replace(pictures, pixels=torch.full_like(pictures.pixels, 100))
    wrong = SimpleNamespace(sample=grey.scaled(torch.arange(48)) + 0.02)
    monkeypatch.setattr(model, "decode", lambda _latents: wrong)
    assert autoencoder.peak_signal_to_noise(model, grey) == pytest.approx(40, abs=1e-3)
