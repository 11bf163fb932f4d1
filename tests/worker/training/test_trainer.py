"""Training a LoRA on the demo: what is learnt, what is left alone, and going on as if nothing had been."""

import hashlib
import re
from dataclasses import replace

import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from safetensors import safe_open

from models.checkpoints import DEMO_FOLDER
from models.training.config import TrainingConfig
from models.training.sizes import sizes
from worker.engine.loras.file import read_lora
from worker.engine.loras.layouts import changes
from worker.engine.training import examples as examples_module
from worker.engine.training.examples import EncodedExamples, Example, encode
from worker.engine.training.parts import Parts
from worker.engine.training.saving import diffusers_content, kohya_content
from worker.engine.training.trainer import NotFiniteError, Trainer

SIDE = 64


def pipeline():
    return StableDiffusionPipeline.from_pretrained(DEMO_FOLDER, safety_checker=None)


@pytest.fixture(scope="module")
def examples():
    return [
        Example(Image.new("RGB", (96, 80), colour), f"a {colour} square")
        for colour in ("red", "green", "blue", "white", "black")
    ]


@pytest.fixture(scope="module")
def encoded(examples):
    return encode(examples, Parts.of(pipeline()), [(SIDE, SIDE)], mirrored=False)


def config(**values):
    usual = {"resolution": SIDE, "train_batch_size": 2, "gradient_accumulation_steps": 2, "learning_rate": 1e-3}
    return TrainingConfig(**usual | {"max_train_steps": 20, "train_text_encoder": True} | values)


def trainer(encoded, parts=None, *, saves_memory=False, **values):
    return Trainer(parts or Parts.of(pipeline()), encoded, config(**values), saves_memory=saves_memory)


def digest(made):
    tensors = made.adapters.tensors()
    return hashlib.sha256(
        b"".join(value.numpy().tobytes() for part in sorted(tensors) for _, value in sorted(tensors[part].items()))
    ).hexdigest()


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
    kept = {
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


def test_both_files_have_the_same_effect_by_what_reads_loras_here(encoded, tmp_path):
    parts = Parts.of(pipeline())
    made = trainer(encoded, parts, lora_alpha=12.0)
    made.train(2)
    tensors = made.adapters.tensors()
    (tmp_path / "a.safetensors").write_bytes(diffusers_content(made.adapters, {"made_by": "Nightshift"}))
    (tmp_path / "b.safetensors").write_bytes(kohya_content(made.adapters, config(lora_alpha=12.0), {}))
    fresh = pipeline()
    named = {"unet": fresh.unet, "text_encoder": fresh.text_encoder}
    names = {module: f"{part}.{name}" for part, root in named.items() for name, module in root.named_modules()}
    ours, theirs = (
        {
            names[layer]: change.delta(layer.get_parameter("weight"))
            for layer, change in changes(read_lora(file), named).items()
        }
        for file in sorted(tmp_path.iterdir())
    )
    assert set(ours) == set(theirs)
    assert len(ours) == sum(len(found) for found in tensors.values()) // 2
    for name, delta in ours.items():
        part, _, layer = name.partition(".")
        down, up = (tensors[part][f"{layer}.lora_{side}.weight"].double() for side in "AB")
        assert torch.allclose(delta.double(), 12.0 / 8 * up @ down, atol=1e-7)
        assert torch.equal(delta, theirs[name])


def test_plain_diffusers_loads_it_with_its_alpha(encoded, tmp_path):
    parts = Parts.of(pipeline())
    made = trainer(encoded, parts)
    made.train(3)
    (tmp_path / "a.safetensors").write_bytes(diffusers_content(made.adapters, {}))
    shape = (1, parts.unet.config.in_channels, SIDE // 8, SIDE // 8)
    latents = torch.randn(shape, generator=torch.Generator().manual_seed(1))

    def says(unet, text_encoder):
        tokens = parts.tokens(["a red square"])
        with torch.no_grad():
            return unet(latents, torch.tensor([500]), text_encoder(tokens)[0]).sample

    other = pipeline()
    plain = says(other.unet, other.text_encoder)
    other.load_lora_weights(tmp_path, weight_name="a.safetensors")
    loaded = says(other.unet, other.text_encoder)
    trained = says(parts.unet, parts.text_encoder)
    assert torch.allclose(loaded, trained, atol=1e-5)
    assert not torch.allclose(plain, trained, atol=1e-3)


def test_a_loss_that_is_not_finite_is_said_at_once_and_changes_nothing(encoded):
    made = trainer(encoded)
    made.train(2)
    before = digest(made)
    made._examples = replace(encoded, latents=[one * float("nan") for one in encoded.latents])
    with pytest.raises(NotFiniteError, match="the loss of step 3 is nan"):
        made.train(4)
    assert digest(made) == before
    assert made.step == 2


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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_of_the_frozen_weights_alone(encoded, dtype):
    def half():
        made = pipeline()
        made.unet.to(dtype)
        made.text_encoder.to(dtype)
        return Parts.of(made)

    asked = {"learning_rate": 3e-3, "lora_dropout": 0.1}
    whole = trainer(encoded, half(), **asked)
    losses = []
    whole.train(4, lambda figures: losses.append(figures.loss))
    assert all(0 < loss < 10 for loss in losses)
    tensors = [value for part in whole.adapters.tensors().values() for value in part.values()]
    assert {value.dtype for value in tensors} == {torch.float32}
    # In float16 alone, steps of this size would be lost to rounding, and gradients to underflow.
    assert all(value.abs().max() > 0 for value in tensors)
    first = trainer(encoded, half(), **asked)
    first.train(2)
    second = trainer(encoded, half(), **asked)
    second.resume(first.state())
    second.train(4)
    assert digest(second) == digest(whole)


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


def test_files_name_layers_as_other_programs_do_and_tell_nothing_of_this_disk(encoded, tmp_path):
    made = trainer(encoded)
    made.train(1)
    of_diffusers, of_kohya = tmp_path / "diffusers.safetensors", tmp_path / "kohya.safetensors"
    of_diffusers.write_bytes(diffusers_content(made.adapters, {}))
    of_kohya.write_bytes(kohya_content(made.adapters, config(), {}))
    block = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0"
    with safe_open(of_diffusers, "pt") as found:
        names = set(found.keys())
        assert {f"unet.{block}.lora_A.weight", f"unet.{block}.lora_B.weight"} <= names
        assert "text_encoder.text_model.encoder.layers.0.mlp.fc1.lora_A.weight" in names
        assert str(DEMO_FOLDER) not in str(found.metadata())
    with safe_open(of_kohya, "pt") as found:
        names = set(found.keys())
        layer = f"lora_unet_{block.replace('.', '_')}"
        assert {f"{layer}.lora_down.weight", f"{layer}.lora_up.weight", f"{layer}.alpha"} <= names
        assert "lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight" in names


#: Where A1111 looks for a layer (extensions-builtin/Lora/networks.py, convert_diffusers_name_to_compvis), as far as a
#: training may change it; ComfyUI (comfy/lora.py) and InvokeAI (lora_conversions/sd_lora_conversion_utils.py) take the
#: name of each layer with underscores.
OF_A1111 = (
    r"lora_unet_(down_blocks_\d+|up_blocks_\d+|mid_block)_(attentions|resnets)_\d+_(.+)",
    r"lora_te_text_model_encoder_layers_\d+_(mlp_fc[12]|self_attn_(q|k|v|out)_proj)",
)


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


def test_every_name_is_one_that_other_programs_look_for(encoded, tmp_path):
    made = trainer(encoded)
    file = tmp_path / "kohya.safetensors"
    file.write_bytes(kohya_content(made.adapters, config(), {}))
    layers = {f"lora_unet_{name.replace('.', '_')}" for name, _ in pipeline().unet.named_modules()}
    found = {}
    with safe_open(file, "pt") as opened:
        for key in set(opened.keys()):
            # The first dot ends the layer's name, in all of them.
            layer, _, what = key.partition(".")
            found.setdefault(layer, {})[what] = opened.get_tensor(key)
    of_text = [layer for layer in found if layer not in layers]
    assert of_text
    assert len(of_text) < len(found)
    for layer, tensors in found.items():
        assert set(tensors) == {"lora_down.weight", "lora_up.weight", "alpha"}
        assert tensors["alpha"].numel() == 1
        assert any(re.fullmatch(pattern, layer) for pattern in OF_A1111)
    # By this InvokeAI knows for which Stable Diffusion it is: 768 is 1, 1024 is 2.
    width = pipeline().text_encoder.config.hidden_size
    told = [tensors["lora_down.weight"].shape[1] for layer, tensors in found.items() if layer.endswith("_attn2_to_k")]
    assert set(told) == {width}


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
