"""The files of a LoRA that was trained: what they do here and in diffusers, and how they name layers."""

import re

import torch
from demo_training import SIDE, config, pipeline, trainer
from safetensors import safe_open

from models.checkpoints import DEMO_FOLDER
from worker.engine.loras.file import read_lora
from worker.engine.loras.layouts import changes
from worker.engine.training.parts import Parts
from worker.engine.training.saving import diffusers_content, kohya_content

#: Where A1111 looks for a layer (extensions-builtin/Lora/networks.py, convert_diffusers_name_to_compvis), as far as a
#: training may change it; ComfyUI (comfy/lora.py) and InvokeAI (lora_conversions/sd_lora_conversion_utils.py) take the
#: name of each layer with underscores.
OF_A1111 = (
    r"lora_unet_(down_blocks_\d+|up_blocks_\d+|mid_block)_(attentions|resnets)_\d+_(.+)",
    r"lora_te_text_model_encoder_layers_\d+_(mlp_fc[12]|self_attn_(q|k|v|out)_proj)",
)


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
