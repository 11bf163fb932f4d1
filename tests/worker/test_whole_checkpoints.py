"""A checkpoint of which a tensor is missing, is too many or of another shape is refused, and what is none is named."""

import shutil
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from single_file import write_single_file

from models.checkpoints import DEMO_FOLDER
from models.types.errors import CheckpointError

PARTS = {
    "text_encoder": "model.safetensors",
    "unet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
}
LDM = {"unet": "model.diffusion_model.", "vae": "first_stage_model.", "text_encoder": "cond_stage_model.transformer."}


def matrices(weights):
    return sorted(name for name, tensor in weights.items() if tensor.ndim > 1)


def prefixed(start):
    return lambda weights: {f"{start}{name}": tensor for name, tensor in weights.items()}


def of_peft(weights):
    """As PEFT saves a model with a LoRA in it: the weights one level deeper, two more beside each."""
    changed = dict(weights)
    for name in matrices(weights)[:2]:
        stem = name.removesuffix(".weight")
        tensor = changed.pop(name)
        changed |= {f"{stem}.base_layer.weight": tensor, f"{stem}.lora_A.default.weight": torch.zeros(2, 2)}
    return changed


def without_a_layer(weights):
    first = matrices(weights)[1].rpartition(".")[0]
    return {name: tensor for name, tensor in weights.items() if not name.startswith(first)}


def with_one_more(weights):
    return weights | {f"{matrices(weights)[0].rpartition('.')[0]}.weight_2": torch.zeros(2)}


def of_another_shape(weights):
    return weights | {matrices(weights)[2]: torch.zeros(3, 3)}


def empty(_weights):
    return {}


CHANGES = {
    "_orig_mod.": (prefixed("_orig_mod."), "put _orig_mod. before their names: take that away"),
    "module.": (prefixed("module."), "put module. before their names"),
    "base_model.model.": (prefixed("base_model.model."), "put base_model.model. before their names"),
    "unknown.": (prefixed("unknown."), "that belong to no part of it"),
    "base_layer": (of_peft, "a LoRA was saved in its place"),
    "a layer less": (without_a_layer, "lacks"),
    "one more": (with_one_more, "has the tensor "),
    "another shape": (of_another_shape, "shape"),
    "nothing": (empty, "lacks"),
}


def refusal(load, name, **values):
    with pytest.raises(CheckpointError) as caught:
        load(name, **values)
    said = str(caught.value)
    assert len(said.splitlines()) == 1
    assert "producer download" not in said
    return said


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_part_of_a_folder_that_is_not_whole_is_refused(load, tmp_path, part, change):
    folder = Path(shutil.copytree(DEMO_FOLDER, tmp_path / "copy"))
    file = folder / part / PARTS[part]
    changed, what = CHANGES[change]
    save_file(changed(load_file(file)), file, metadata={"format": "pt"})
    said = refusal(load, folder)
    assert f"its {part}" in said
    assert what in said


#: What diffusers called the parts of an attention when Stable Diffusion 1.5's VAE was saved.
OLDER_NAMES = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}


def test_the_names_that_stable_diffusion_has_on_the_hub_are_taken(load, tmp_path):
    """Its VAE has attention by older names, its text encoder a prefix and its places as numbers."""
    folder = Path(shutil.copytree(DEMO_FOLDER, tmp_path / "copy"))
    config = AutoencoderKL.load_config(folder / "vae")
    AutoencoderKL.from_config(config | {"mid_block_add_attention": True}).save_pretrained(folder / "vae")
    vae, text = folder / "vae" / PARTS["vae"], folder / "text_encoder" / PARTS["text_encoder"]
    write_single_file(folder, tmp_path / "one.safetensors")
    renamed = {}
    for name, tensor in load_file(vae).items():
        for newer, older in OLDER_NAMES.items():
            name = name.replace(newer, older) if ".attentions." in name else name
        renamed[name] = tensor
    assert any(".proj_attn." in name for name in renamed)
    save_file(renamed, vae, metadata={"format": "pt"})
    places = {"text_model.embeddings.position_ids": torch.arange(77)[None]}
    save_file(prefixed("text_model.")(load_file(text)) | places, text, metadata={"format": "pt"})
    load(folder)
    weights = load_file(tmp_path / "one.safetensors")
    places = {f"cond_stage_model.transformer.{name}": tensor for name, tensor in places.items()}
    save_file(weights | places, tmp_path / "one.safetensors")
    load(tmp_path / "one.safetensors", single_file_config=str(folder))


@pytest.fixture
def single(tmp_path):
    """Return a function that writes the demo as a single file, its weights changed."""

    def write(change=dict, metadata=None):
        file = tmp_path / "one.safetensors"
        write_single_file(DEMO_FOLDER, file)
        save_file(change(load_file(file)), file, metadata=metadata)
        return file

    return write


def of_part(part, change):
    """Change one part of a single file alone."""

    def changed(weights):
        start = LDM[part]
        own = {name.removeprefix(start): tensor for name, tensor in weights.items() if name.startswith(start)}
        others = {name: tensor for name, tensor in weights.items() if not name.startswith(start)}
        return others | {f"{start}{name}": tensor for name, tensor in change(own).items()}

    return changed


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("change", ["a layer less", "one more", "another shape", "unknown."])
def test_a_part_of_a_single_file_that_is_not_whole_is_refused(load, single, part, change):
    file = single(of_part(part, CHANGES[change][0]))
    said = refusal(load, file, single_file_config=str(DEMO_FOLDER))
    assert str(file) in said
    assert f"its {part} " in said


def test_what_such_files_carry_of_their_training_does_not_count(load, single):
    extra = {
        "first_stage_model.loss.logvar": torch.zeros(1),
        "model_ema.decay": torch.zeros(1),
        "betas": torch.zeros(2),
        "cond_stage_model.transformer.text_model.embeddings.position_ids": torch.zeros(1, 77),
    }
    load(single(lambda weights: weights | extra), single_file_config=str(DEMO_FOLDER))


INPAINTING = {"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(64, 9, 3, 3)}
NONE = {
    "is a LoRA": lambda _: {"lora_unet_down_blocks_0.lora_down.weight": torch.zeros(2, 2)},
    "is a LoRA, which": lambda _: {"unet.down_blocks.0.to_q.lora_A.weight": torch.zeros(2, 2)},
    "is an SDXL checkpoint": lambda weights: weights | {"conditioner.embedders.0.weight": torch.zeros(2)},
    "is a Stable Diffusion 2 checkpoint": lambda weights: weights | {"cond_stage_model.model.x": torch.zeros(2)},
    "is a FLUX or Stable Diffusion 3": lambda _: {"double_blocks.0.img_attn.qkv.weight": torch.zeros(2)},
    "is an inpainting model, whose UNet takes 9 channels": lambda weights: weights | INPAINTING,
    "holds no VAE": of_part("vae", empty),
    "holds no text encoder": of_part("text_encoder", empty),
    "holds no UNet": lambda _: {"something": torch.zeros(2)},
    "is one part of a checkpoint": lambda _: {"down_blocks.0.resnets.0.conv1.weight": torch.zeros(2)},
    "ends its noise without signal": lambda weights: weights | {"ztsnr": torch.zeros(1)},
}


@pytest.mark.parametrize("what", NONE)
def test_a_single_file_that_is_something_else_is_named(load, single, what):
    file = single(NONE[what])
    said = refusal(load, file, single_file_config=str(DEMO_FOLDER))
    assert f"{file} {what}" in said


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda content: content[:-100], "is cut short or damaged"),
        (lambda content: content[:1000], "is cut short or damaged"),
        (lambda content: content[:4], "is no safetensors file"),
        (lambda _: b"", "is empty"),
        (lambda _: b"PK\x03\x04" * 1000, "is no safetensors file"),
        (lambda _: b"<html>not found</html>", "is no safetensors file"),
    ],
)
def test_a_single_file_that_is_damaged_says_so(load, single, spoil, what):
    file = single()
    file.write_bytes(spoil(file.read_bytes()))
    assert f"{file} {what}" in refusal(load, file, single_file_config=str(DEMO_FOLDER))


def test_an_inpainting_unet_in_a_folder_of_the_usual_kind_is_refused(load, tmp_path):
    folder = Path(shutil.copytree(DEMO_FOLDER, tmp_path / "copy"))
    config, file = folder / "unet" / "config.json", folder / "unet" / PARTS["unet"]
    config.write_text(config.read_text().replace('"in_channels": 8', '"in_channels": 9'))
    weights = load_file(file)
    save_file(weights | {"conv_in.weight": torch.zeros(64, 9, 3, 3, dtype=torch.float16)}, file)
    assert "takes 9 channels where latents have 8" in refusal(load, folder)


@pytest.mark.parametrize("said_by", ["key", "metadata", None])
def test_the_prediction_type_of_a_single_file_is_taken_from_it(load, single, tmp_path, said_by):
    config = Path(shutil.copytree(DEMO_FOLDER, tmp_path / "config"))
    scheduler = config / "scheduler" / "scheduler_config.json"
    scheduler.write_text(scheduler.read_text().replace("v_prediction", "epsilon"))
    key = {"v_pred": torch.zeros(1)} if said_by == "key" else {}
    metadata = {"modelspec.prediction_type": "v"} if said_by == "metadata" else None
    loaded = load(single(lambda weights: weights | key, metadata), single_file_config=str(config))
    expected = "epsilon" if said_by is None else "v_prediction"
    assert loaded.schedulers.new("Euler").config.prediction_type == expected
