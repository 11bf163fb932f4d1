"""Training a LoRA on the demo: what is learnt, what is left alone, and going on as if nothing had been."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from demo_training import SIDE, config, digest, pipeline, trainer
from PIL import Image

from models.training.sizes import sizes
from models.types.errors import TrainingError
from worker.engine.training.examples import EncodedExamples, Example, encode
from worker.engine.training.parts import Parts
from worker.engine.training.trainer import NotFiniteError, Trainer


def weights(part):
    return {name: value.clone() for name, value in part.state_dict().items() if "lora_" not in name}


@pytest.mark.parametrize("stop", [1, 4, 7])
def test_one_that_was_stopped_anywhere_comes_to_the_same_weights_to_the_bit(encoded, stop):
    asked = {"lora_dropout": 0.1, "caption_dropout": 0.2, "lr_scheduler": "cosine", "lr_warmup_steps": 3}
    whole = trainer(encoded, **asked)
    losses = []
    whole.train(8, losses.append)
    first = trainer(encoded, **asked)
    again = []
    first.train(stop, again.append)
    state = first.state()
    # What another process would have drawn by then.
    torch.manual_seed(12345)
    second = trainer(encoded, **asked)
    second.resume(state)
    second.train(8, again.append)
    assert digest(second) == digest(whole)
    assert again == losses
    assert [figures.step for figures in again] == list(range(1, 9))


@pytest.mark.parametrize("missing", ["draws", "dropout", "optimizer", "left"])
def test_nothing_of_a_state_is_there_for_nothing(encoded, missing):
    asked = {"lora_dropout": 0.1}
    whole, first = trainer(encoded, **asked), trainer(encoded, **asked)
    whole.train(4)
    first.train(2)
    second = trainer(encoded, **asked)
    second.train(1)
    kept: dict[str, Any] = {
        "draws": second._draws.get_state(),
        "dropout": second._dropout,
        "left": list(second._left),
        "optimizer": second._optimizer.state_dict(),
    }
    second.resume(first.state())
    if missing == "draws":
        second._draws.set_state(kept["draws"])
    elif missing == "dropout":
        second._dropout = kept["dropout"]
    elif missing == "optimizer":
        second._optimizer.load_state_dict(kept["optimizer"])
    else:
        second._left = kept["left"]
    second.train(4)
    assert digest(second) != digest(whole)


def test_what_is_trained_has_no_effect_at_first_and_the_weights_stay_as_they_are(encoded):
    parts = Parts.of(pipeline())
    before = weights(parts.unet), weights(parts.text_encoder)
    made = trainer(encoded, parts)
    assert all(
        not value.any() for found in made.adapters.tensors().values() for key, value in found.items() if "lora_B" in key
    )
    made.train(3)
    assert any(value.any() for key, value in made.adapters.tensors()["unet"].items() if "lora_B" in key)
    made.adapters.remove()
    for known, part in zip(before, (parts.unet, parts.text_encoder), strict=True):
        after = part.state_dict()
        assert set(after) == set(known)
        assert all(torch.equal(after[name], value) for name, value in known.items())


@pytest.mark.parametrize("layers", [("to_q", "to_k.nowhere"), ("nowhere",), ("attn1",)])
def test_a_layer_that_the_unet_does_not_have_is_said_whatever_else_is_named(encoded, layers):
    with pytest.raises(TrainingError, match=f"lora_target_modules: the UNet has no layer {layers[-1]} that"):
        trainer(encoded, lora_target_modules=layers)


@pytest.mark.parametrize("predicted", ["epsilon", "v_prediction"])
def test_a_unet_that_is_always_right_has_no_loss(encoded, monkeypatch, predicted):
    parts = Parts.of(pipeline())
    parts.noise.register_to_config(prediction_type=predicted)
    made = trainer(encoded, parts, train_text_encoder=False)
    drawn, normal = [], made._normal

    def kept_in_mind(shape):
        drawn.append(normal(shape))
        return drawn[-1]

    monkeypatch.setattr(made, "_normal", kept_in_mind)

    def answer(_unet, given, output):
        noisy, times, _ = given
        kept = parts.noise.alphas_cumprod[times].view(-1, 1, 1, 1)
        noise = drawn[-1]
        picture = (noisy - (1 - kept).sqrt() * noise) / kept.sqrt()
        right = noise if predicted == "epsilon" else kept.sqrt() * noise - (1 - kept).sqrt() * picture
        output.sample = output.sample * 0 + right
        return output

    parts.unet.register_forward_hook(answer)
    losses = []
    made.train(3, lambda step: losses.append(step.loss))
    assert losses == pytest.approx([0, 0, 0], abs=1e-6)


def test_a_unet_that_predicts_something_else_is_refused():
    made = pipeline()
    made.scheduler.register_to_config(prediction_type="sample")
    with pytest.raises(TrainingError, match="prediction_type is sample; it has to be epsilon or v_prediction"):
        Parts.of(made)


def test_it_learns(encoded):
    made = trainer(encoded, max_train_steps=40, lora_rank=16)
    losses = []
    made.train(40, lambda figures: losses.append(figures.loss))
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


def test_each_example_comes_once_in_a_pass(encoded):
    made = trainer(encoded)
    taken = [made._next(1)[0] for _ in range(15)]
    assert [sorted(taken[start : start + 5]) for start in (0, 5, 10)] == [[0, 1, 2, 3, 4]] * 3
    assert taken[:5] != taken[5:10] or taken[5:10] != taken[10:]


def test_one_that_is_repeated_comes_as_often_in_a_pass(examples):
    some = [Example(examples[0].picture, "a", repeats=3), Example(examples[1].picture, "b")]
    made = trainer(encode(some, Parts.of(pipeline()), [(SIDE, SIDE)], mirrored=False))
    assert sorted(made._next(4)) == [0, 0, 0, 1]


def test_a_loss_that_is_not_finite_is_said_at_once_and_changes_nothing(encoded):
    made = trainer(encoded)
    made.train(2)
    before = digest(made)
    made._examples = replace(encoded, latents=[one * float("nan") for one in encoded.latents])
    with pytest.raises(NotFiniteError, match="the loss of step 3 is nan"):
        made.train(4)
    assert digest(made) == before
    assert made.step == 2


def test_the_unet_alone_needs_captions_encoded_once(encoded):
    parts = Parts.of(pipeline())
    made = trainer(encoded, parts, train_text_encoder=False, caption_dropout=0.5)
    parts.text_encoder.forward = None
    made.train(2)
    assert set(made.adapters.tensors()) == {"unet"}


@pytest.mark.parametrize("choice", [{"snr_gamma": 5.0}, {"noise_offset": 0.1}, {"saves_memory": True}])
def test_choices_change_what_is_learnt_and_checkpointing_does_not(encoded, choice):
    usual, other = trainer(encoded), trainer(encoded, **choice)
    usual.train(2)
    other.train(2)
    tensors = [made.adapters.tensors()["unet"] for made in (usual, other)]
    same = all(torch.allclose(tensors[0][name], tensors[1][name], atol=1e-6) for name in tensors[0])
    assert same == ("saves_memory" in choice)


def test_mirrored_pictures_are_learnt_from_where_that_is_asked(examples):
    parts = Parts.of(pipeline())
    pictures = [Example(Image.linear_gradient("L").rotate(90).convert("RGB"), "a gradient")]
    found = encode(pictures, parts, [(SIDE, SIDE)], mirrored=True)
    assert not torch.allclose(found.latents[0], found.mirrored[0], atol=0.1)
    plain = encode(pictures, parts, [(SIDE, SIDE)], mirrored=False)
    one, other = trainer(found, parts), trainer(plain)
    one.train(4)
    other.train(4)
    assert digest(one) != digest(other)


def half(dtype=torch.float16):
    made = pipeline()
    made.unet.to(dtype)
    made.text_encoder.to(dtype)
    return Parts.of(made)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_of_the_frozen_weights_alone(encoded, dtype):
    asked = {"learning_rate": 3e-3, "lora_dropout": 0.1}
    whole = trainer(encoded, half(dtype), **asked)
    losses = []
    whole.train(4, lambda figures: losses.append(figures.loss))
    assert all(0 < loss < 10 for loss in losses)
    tensors = [value for part in whole.adapters.tensors().values() for value in part.values()]
    assert {value.dtype for value in tensors} == {torch.float32}
    # In float16 alone, steps of this size would be lost to rounding, and gradients to underflow.
    assert all(value.abs().max() > 0 for value in tensors)
    first = trainer(encoded, half(dtype), **asked)
    first.train(2)
    second = trainer(encoded, half(dtype), **asked)
    second.resume(first.state())
    second.train(4)
    assert digest(second) == digest(whole)


def test_a_step_whose_gradients_overflow_in_float16_changes_nothing_and_the_next_ones_do(encoded):
    made = trainer(encoded, half())
    made.train(1)
    before, usual = digest(made), made._scaler.get_scale()
    # So large that they do.
    made._scaler.update(3e38)
    made.train(2)
    assert digest(made) == before
    assert usual < made._scaler.get_scale() < 3e38
    made._scaler.update(usual)
    made.train(3)
    assert digest(made) != before


def test_gradients_that_are_finite_in_no_step_are_said(encoded):
    made = trainer(encoded, half(), max_train_steps=100)
    before = digest(made)
    for parameter in made.adapters.parameters("unet"):
        parameter.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(NotFiniteError, match=r"the gradients of step \d+ are not finite"):
        made.train(100)
    assert digest(made) == before


def test_a_rate_that_was_halved_holds_for_what_is_resumed(encoded):
    asked = {"lr_scheduler": "cosine", "lr_warmup_steps": 3}
    first = trainer(encoded, **asked)
    first.train(5)
    usual, half = trainer(encoded, **asked), Trainer(Parts.of(pipeline()), encoded, config(**asked), rate_share=0.5)
    rates = []
    for one in (usual, half):
        one.resume(first.state())
        one.train(7, lambda figures: rates.append(figures.learning_rate))
    assert rates[2:] == pytest.approx([rate / 2 for rate in rates[:2]])


def test_what_is_held_out_is_measured_with_the_same_noise_each_time(encoded, examples):
    made = Trainer(Parts.of(pipeline()), encoded, config(lora_dropout=0.5), encoded)
    first = made.held_out_loss()
    assert made.held_out_loss() == first
    state = made.state()
    made.train(4)
    assert made.held_out_loss() != first
    undisturbed = Trainer(Parts.of(pipeline()), encoded, config(lora_dropout=0.5))
    undisturbed.resume(state)
    undisturbed.train(4)
    # Looking changes nothing of what is learnt.
    assert digest(undisturbed) == digest(made)
    assert trainer(encoded).held_out_loss() is None


def test_pictures_as_they_were_kept_are_the_same(encoded):
    again = EncodedExamples.of_content(encoded.content())
    one, other = trainer(encoded), trainer(again)
    one.train(2)
    other.train(2)
    assert digest(one) == digest(other)


def test_what_ends_a_step_between_two_batches_leaves_it_untaken(encoded):
    made, calls = trainer(encoded, gradient_accumulation_steps=4), []

    def after_batch():
        calls.append(made.step)
        if len(calls) == 6:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        made.train(3, after_batch=after_batch)
    assert (calls, made.step) == ([0] * 4 + [1] * 2, 1)
    one = trainer(encoded, gradient_accumulation_steps=4)
    one.train(1)
    assert digest(made) == digest(one)


def test_pictures_of_several_shapes_are_learnt_from_in_sizes_of_theirs(examples):
    shapes = [(96, 96), (160, 80), (80, 160), (150, 80)]
    some = [Example(Image.new("RGB", size, "red"), "a red thing", repeats=2) for size in shapes]
    found = encode(some, Parts.of(pipeline()), sizes(SIDE, cropped=False), mirrored=True)
    assert [tuple(one.shape[-2:]) for one in found.latents] == [(8, 8), (6, 10), (10, 6), (6, 10)]

    def made():
        return trainer(found, train_batch_size=2, lora_dropout=0.1, caption_dropout=0.1)

    whole, first, taken = made(), made(), made()
    pairs = [taken._next(2) for _ in range(8)]
    assert all(found.latents[one].shape == found.latents[other].shape for one, other in pairs)
    assert sorted(number for pair in pairs[:4] for number in pair) == [0, 0, 1, 1, 2, 2, 3, 3]
    whole.train(4)
    first.train(3)
    again = trainer(
        EncodedExamples.of_content(found.content()), train_batch_size=2, lora_dropout=0.1, caption_dropout=0.1
    )
    again.resume(first.state())
    again.train(4)
    assert digest(again) == digest(whole)
