"""Which files a checkpoint is loaded from, and which are refused."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from single_file import write_single_file

from models.checkpoints import DEMO_FOLDER
from models.settings import Settings
from models.types.errors import CheckpointError
from worker.engine.checkpoints.local_checkpoint import PIPELINES, find_checkpoint
from worker.engine.devices.cpu import Cpu
from worker.engine.families import registry
from worker.engine.families.family import Family
from worker.engine.families.registry import family_of
from worker.engine.making.generation import generate

UNET = Path("unet", "diffusion_pytorch_model.safetensors")
UNET_HALF = Path("unet", "diffusion_pytorch_model.fp16.safetensors")


@pytest.fixture
def copy(tmp_path):
    """A copy of the demo, to be changed."""
    return Path(shutil.copytree(DEMO_FOLDER, tmp_path / "copy"))


@pytest.fixture
def single(tmp_path):
    file = tmp_path / "one.safetensors"
    write_single_file(DEMO_FOLDER, file)
    return file


@pytest.fixture
def pixels(spec):
    def pixels(loaded):
        dtype = loaded.pipeline.unet.dtype
        return np.asarray(generate(loaded, Cpu("cpu", dtype), spec(), lambda _step: None).picture)

    return pixels


def edit_index(folder, **values):
    index = folder / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | values))


def refusal(load, name, **values):
    with pytest.raises(CheckpointError) as caught:
        load(name, **values)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


# What is loaded


def test_a_single_file_gives_the_pictures_of_its_folder(load, single, pixels):
    for dtype in (torch.float32, torch.float16):
        loaded = load(single, dtype=dtype, single_file_config=str(DEMO_FOLDER))
        assert {part.dtype for part in (loaded.pipeline.unet, loaded.pipeline.vae, loaded.pipeline.text_encoder)} == {
            dtype
        }
        assert np.array_equal(pixels(loaded), pixels(load(dtype=dtype)))
    assert loaded.revision == f"sha256:{hashlib.sha256(single.read_bytes()).hexdigest()}"


def test_a_revision_is_that_of_the_content(copy):
    same = find_checkpoint("demo").revision
    assert find_checkpoint(str(copy)).revision == same
    weights = load_file(copy / UNET)
    weights["conv_out.bias"] += 1
    save_file(weights, copy / UNET)
    assert find_checkpoint(str(copy)).revision != same


def test_half_precision_takes_the_variant_and_full_precision_the_full_weights(load, copy):
    full = load_file(copy / UNET)
    save_file({**full, "conv_out.bias": full["conv_out.bias"] + 1}, copy / UNET_HALF)
    half, whole = (load(copy, dtype=dtype).pipeline.unet.conv_out.bias for dtype in (torch.float16, torch.float32))
    assert torch.equal(half, (full["conv_out.bias"] + 1).half())
    assert torch.equal(whole, full["conv_out.bias"])


def test_a_checkpoint_that_has_the_half_variant_alone_serves_full_precision_too(load, copy):
    (copy / UNET).rename(copy / UNET_HALF)
    assert load(copy).pipeline.unet.dtype is torch.float32


def test_attention_slicing_is_off_unless_it_is_asked_for(load, pixels):
    usual, sliced = load(), load(attention_slicing=True)
    kinds = [{type(p).__name__ for p in one.pipeline.unet.attn_processors.values()} for one in (usual, sliced)]
    assert kinds == [{"AttnProcessor2_0"}, {"SlicedAttnProcessor"}]
    assert np.abs(pixels(usual).astype(int) - pixels(sliced)).max() <= 1


# What is refused


def test_a_name_that_is_nothing_here_says_what_a_name_may_be(load):
    said = refusal(load, "/no/such/folder")
    assert "/no/such/folder: there is no such file or folder" in said
    assert "NIGHTSHIFT_CHECKPOINT" in said


def test_a_hub_id_that_is_not_here_names_the_command_that_fetches_it(load):
    assert "`producer download nobody/nothing-of-this-name`" in refusal(load, "nobody/nothing-of-this-name")


@pytest.mark.parametrize("suffix", [".ckpt", ".bin", ".pt", ".gguf", ""])
def test_a_single_file_of_another_format_is_refused_unread(load, single, suffix):
    other = single.rename(single.with_suffix(suffix))
    assert "only .safetensors files are loaded, other formats can run code" in refusal(load, other)


def test_a_single_file_without_configs_names_what_brings_them(load, single):
    said = refusal(load, single, single_file_config="nobody/nothing-of-this-name")
    assert "`producer download nobody/nothing-of-this-name`" in said
    assert "NIGHTSHIFT_SINGLE_FILE_CONFIG" in said


def test_a_config_folder_that_is_not_there_names_the_variable(load, single):
    said = refusal(load, single, single_file_config="/no/such/folder")
    assert "/no/such/folder" in said
    assert "NIGHTSHIFT_SINGLE_FILE_CONFIG" in said


def test_another_pipeline_is_refused(load, copy):
    edit_index(copy, _class_name="StableDiffusionXLPipeline")
    assert "is a StableDiffusionXLPipeline; only a StableDiffusionPipeline" in refusal(load, copy)


def test_code_in_a_checkpoint_is_refused_and_not_run(load, copy, tmp_path):
    edit_index(copy, unet=["evil", "Evil"])
    (copy / "unet" / "evil.py").write_text(f"open({str(tmp_path / 'was-run')!r}, 'w')")
    assert "its unet wants code from 'evil', which is not run" in refusal(load, copy)
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize("content", ["", "[]", "{", "null", "{}", '{"_class_name": ["StableDiffusionPipeline"]}'])
def test_an_index_that_is_none_is_refused(load, copy, content):
    (copy / "model_index.json").write_text(content)
    assert str(copy) in refusal(load, copy)


def without_weights(copy):
    (copy / UNET).unlink()


def garbage(copy):
    (copy / UNET).write_bytes(b"\xff" * 4096)


def cut_short(copy):
    os.truncate(copy / UNET, (copy / UNET).stat().st_size // 2)


def other_shapes(copy):
    save_file({name: torch.zeros(3, 3) for name in load_file(copy / UNET)}, copy / UNET)


def missing_tensors(copy):
    weights = load_file(copy / UNET)
    del weights["conv_out.weight"]
    save_file(weights, copy / UNET)


def pickled(copy):
    torch.save(load_file(copy / UNET), (copy / UNET).with_suffix(".bin"))
    (copy / UNET).unlink()


def without_tokenizer(copy):
    shutil.rmtree(copy / "tokenizer")


def without_scheduler(copy):
    shutil.rmtree(copy / "scheduler")


def broken_config(copy):
    (copy / "vae" / "config.json").write_text("{")


def tokenizer_without_vocabulary(copy):
    (copy / "tokenizer" / "tokenizer.json").unlink()


def tokenizer_without_config(copy):
    (copy / "tokenizer" / "tokenizer_config.json").unlink()


def components_that_are_none(copy):
    edit_index(copy, tokenizer=[])


FAULTS = {
    tokenizer_without_vocabulary: "its tokenizer is incomplete",
    tokenizer_without_config: "its tokenizer is incomplete",
    components_that_are_none: "",
    without_weights: "unet",
    garbage: "unet/diffusion_pytorch_model.safetensors is no safetensors file, whatever its name says",
    cut_short: "unet/diffusion_pytorch_model.safetensors is cut short or damaged; copy it again",
    other_shapes: "unet",
    missing_tensors: "its unet lacks the tensor conv_out.weight",
    pickled: "unet",
    without_tokenizer: "",
    without_scheduler: "scheduler",
    broken_config: "vae/config.json",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_checkpoint_with_broken_or_missing_files_is_refused(load, copy, fault):
    fault(copy)
    said = refusal(load, copy)
    assert said.startswith(f"checkpoint {copy} cannot be loaded: {copy}")
    assert FAULTS[fault] in said
    # That would fetch nothing of a folder.
    assert "producer download" not in said


def test_a_safety_checker_that_is_asked_for_must_be_there(load):
    assert "NIGHTSHIFT_SAFETY_CHECKER is on, but" in refusal(load, "demo", safety_checker=True)


def test_settings_of_the_tests_are_theirs_alone():
    assert Settings(_env_file=None).model_fields_set == set()


def test_every_pipeline_that_is_let_in_has_a_family():
    assert set(PIPELINES) == set(registry._FAMILIES)
    assert all(isinstance(family_of(name), Family) for name in PIPELINES)
