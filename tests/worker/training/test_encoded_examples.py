"""Pictures and captions, encoded once for a training."""

import weakref

import pytest
import torch
from demo_training import SIDE, config, pipeline
from PIL import Image

from worker.engine.training import examples as examples_module
from worker.engine.training.examples import EncodedExamples, Example, encode
from worker.engine.training.parts import Parts
from worker.engine.training.session import encode_all


def test_pictures_are_encoded_as_diffusers_does_without_the_noise_of_the_autoencoder(examples):
    parts = Parts.of(pipeline())
    (found,) = encode(examples[:1], parts, [(SIDE, SIDE)], mirrored=False).latents
    square = torch.zeros(1, 3, SIDE, SIDE) - 1
    square[:, 0] = 1
    with torch.no_grad():
        wanted = parts.autoencoder.encode(square).latent_dist
    assert wanted.std.mean() > 0.01
    assert torch.allclose(found, wanted.mean[0] * parts.autoencoder.config.scaling_factor, atol=1e-5)


def test_without_a_picture_there_is_no_training():
    with pytest.raises(ValueError, match="no picture"):
        encode([], Parts.of(pipeline()), [(SIDE, SIDE)], mirrored=False)


def test_a_picture_with_several_captions_is_encoded_and_kept_once(examples, monkeypatch):
    looked, latents = [], examples_module._latents

    def counted(*args):
        looked.append(args)
        return latents(*args)

    monkeypatch.setattr(examples_module, "_latents", counted)
    twice = [Example(examples[0].picture, "a"), Example(examples[0].picture, "b"), Example(examples[1].picture, "c")]
    found = encode(twice, Parts.of(pipeline()), [(SIDE, SIDE)], mirrored=False)
    assert len(looked) == 2
    alone = encode(twice[1:], Parts.of(pipeline()), [(SIDE, SIDE)], mirrored=False)
    assert len(found.content()) - len(alone.content()) < found.latents[0].nbytes
    assert len(EncodedExamples.of_content(found.content())) == 3


def test_photos_are_in_memory_one_at_a_time_held_out_ones_too():
    seen = []

    def photos():
        for number in range(6):
            # The one before it may be in hand still.
            assert sum(one() is not None for one in seen) <= 1
            picture = Image.new("RGB", (SIDE, SIDE), (number, 0, 0))
            seen.append(weakref.ref(picture))
            yield Example(picture, "a shoe")
            del picture

    learnt, held_out = encode_all(Parts.of(pipeline()), config(), photos(), photos())
    assert (len(learnt), len(held_out), len(seen)) == (6, 6, 12)
