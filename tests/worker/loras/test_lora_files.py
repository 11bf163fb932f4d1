"""LoRAs: each layout adds what its tensors say, alpha and all; what is not known whole is refused by name."""

import json
import struct

import pytest
import torch
from lora_files import ATTENTION, CONVOLUTIONS, diffusers, digest, kohya, processors, random_layers, save, weights_of

from models.types.errors import LoraError
from models.types.lora import Lora, parse_loras
from worker.engine.devices.cpu import Cpu
from worker.engine.loras.fused import FusedLoras

CPU = Cpu("cpu", torch.float32)


def require_effect(pipeline, before, layers, scale):
    """Hold every weight against what it was and what the layers add to it."""
    added = {f"{layer.part}.{layer.name}.weight": layer.delta(scale) for layer in layers}
    for name, weight in weights_of(pipeline).items():
        if name not in added:
            assert torch.equal(weight, before[name]), name
            continue
        found = weight.double() - before[name].double()
        assert added[name].abs().max() > 1e-3
        assert (found - added[name].reshape(found.shape)).abs().max() < 1e-6, name


LAYOUTS = {
    "kohya": lambda layers: (kohya(layers), None),
    "kohya, text encoder without text_model": lambda layers: (kohya(layers, ""), None),
    "diffusers": diffusers,
    "diffusers, older": lambda layers: diffusers(layers, "lora.down", "lora.up"),
    "diffusers, older yet": lambda layers: diffusers(layers, "lora_linear_layer.down", "lora_linear_layer.up"),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("alphas", [(16.0,), (8.0, 4.0, 4.0, 1.0)], ids=["one alpha", "mixed alphas"])
@pytest.mark.parametrize("names", [ATTENTION, ATTENTION + CONVOLUTIONS], ids=["attention", "LoCon"])
def test_each_layer_changes_by_what_the_file_says(loaded, loras, folder, files, layout, alphas, names):
    layers = random_layers(loaded.pipeline, names=names, alphas=alphas)
    assert {layer.down.dim() for layer in layers} == ({2, 4} if names != ATTENTION else {2})
    tensors, header = layout(layers)
    save(tensors, folder / "olive.safetensors", header)
    before = weights_of(loaded.pipeline)
    assert loras.use([Lora("olive", 0.7)], files)
    require_effect(loaded.pipeline, before, layers, 0.7)
    loras.use([], files)
    require_effect(loaded.pipeline, before, [], 0.0)


def test_attention_as_diffusers_named_it_at_first(loaded, loras, folder, files):
    layers = random_layers(loaded.pipeline, names=ATTENTION[:4], parts=("unet",))
    save(processors(layers), folder / "olive.safetensors")
    before = weights_of(loaded.pipeline)
    loras.use([Lora("olive")], files)
    require_effect(loaded.pipeline, before, layers, 1.0)


def test_several_add_up_in_whatever_order_they_are_asked_for(loaded, loras, folder, files):
    before = weights_of(loaded.pipeline)
    several = {name: random_layers(loaded.pipeline, seed) for seed, name in enumerate(("olive", "leather", "worn"))}
    for name, layers in several.items():
        save(kohya(layers), folder / f"{name}.safetensors")
    found = []
    for asked in ("olive:0.5, leather:-1, worn:2", "worn:2, leather:-1, olive:0.5"):
        loras.use([], files)
        loras.use(parse_loras(asked), files)
        found.append(digest(loaded.pipeline))
    assert found[0] == found[1]
    scales = {"olive": 0.5, "leather": -1, "worn": 2}
    added = {}
    for name, layers in several.items():
        for layer in layers:
            key = f"{layer.part}.{layer.name}.weight"
            added[key] = added.get(key, 0) + layer.delta(scales[name])
    for name, weight in weights_of(loaded.pipeline).items():
        assert torch.allclose(weight.double(), before[name].double() + added.get(name, 0), atol=1e-6)


def test_made_by_peft_and_written_by_diffusers_it_is_what_peft_makes_of_it(loaded, loras, folder, files):
    """Alpha stands in the header that diffusers writes where it is given peft's configuration."""
    from diffusers import StableDiffusionPipeline
    from diffusers.training_utils import _collate_lora_metadata
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    pipeline = StableDiffusionPipeline(**loaded.pipeline.components, requires_safety_checker=False)
    pipeline.unet, pipeline.text_encoder = (copy_of(part) for part in (pipeline.unet, pipeline.text_encoder))
    generator = torch.Generator().manual_seed(1)
    parts = {}
    for part, targets in (("unet", list(ATTENTION[:4])), ("text_encoder", ["q_proj", "v_proj"])):
        module = getattr(pipeline, part)
        module.add_adapter(LoraConfig(r=8, lora_alpha=16, target_modules=targets))
        for name, value in module.named_parameters():
            if "lora_B" in name:
                value.data = torch.randn(value.shape, generator=generator) * 0.05
        parts[part] = module
    StableDiffusionPipeline.save_lora_weights(
        folder,
        unet_lora_layers=get_peft_model_state_dict(parts["unet"]),
        text_encoder_lora_layers=get_peft_model_state_dict(parts["text_encoder"]),
        weight_name="olive.safetensors",
        **_collate_lora_metadata(parts),
    )
    loras.use([Lora("olive")], files)
    given = torch.randn(2, loaded.pipeline.unet.config.in_channels, 16, 16, generator=generator)
    texts = torch.randn(2, 77, loaded.pipeline.unet.config.cross_attention_dim, generator=generator)
    ours = loaded.denoiser._forward(given, torch.tensor(500), encoder_hidden_states=texts, return_dict=False)[0]
    theirs = parts["unet"](given, torch.tensor(500), encoder_hidden_states=texts, return_dict=False)[0]
    assert torch.allclose(ours, theirs, atol=1e-4)
    tokens = torch.arange(77)[None]
    assert torch.allclose(loaded.pipeline.text_encoder(tokens)[0], parts["text_encoder"](tokens)[0], atol=1e-4)


def copy_of(module):
    """Return a module of its own with the same weights, without what is hooked to the other."""
    new = type(module)(module.config) if not hasattr(module, "from_config") else type(module).from_config(module.config)
    new.load_state_dict(module.state_dict())
    return new


def test_half_precision_rounds_once(load, folder, files):
    loaded = load(dtype=torch.float16)
    loras = FusedLoras(loaded.family.lora_parts(loaded.pipeline))
    layers = random_layers(loaded.pipeline)
    save(kohya(layers), folder / "olive.safetensors")
    before = weights_of(loaded.pipeline)
    loras.use([Lora("olive")], files)
    after = weights_of(loaded.pipeline)
    for layer in layers:
        name = f"{layer.part}.{layer.name}.weight"
        exact = before[name].double() + layer.delta().reshape(before[name].shape)
        assert (after[name].double() - exact).abs().max() <= exact.abs().max() * 2**-11


@pytest.mark.skipif(not hasattr(torch, "float8_e4m3fn"), reason="this torch has no such numbers")
def test_numbers_of_eight_bits_are_numbers(loaded, loras, folder, files):
    layers = layers_of(loaded.pipeline)
    eight = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in kohya(layers).items()}
    save(eight, folder / "olive.safetensors")
    assert loras.use([Lora("olive")], files)


def layers_of(pipeline):
    return random_layers(pipeline, names=ATTENTION[:1], parts=("unet",))


def without(tensors, end):
    name = next(name for name in tensors if name.endswith(end))
    return {key: value for key, value in tensors.items() if key != name}


def changed(tensors, end, change):
    name = next(name for name in tensors if name.endswith(end))
    return tensors | {name: change(tensors[name])}


REFUSED = {
    "NaN": (lambda t: changed(t, "lora_up.weight", lambda x: x * float("nan")), "holds NaN or infinity"),
    "infinite": (lambda t: changed(t, "lora_down.weight", lambda x: x / 0), "holds NaN or infinity"),
    "no up": (lambda t: without(t, "lora_up.weight"), "has no up tensor; the file is incomplete"),
    "no down": (lambda t: without(t, "lora_down.weight"), "has no down tensor"),
    "no alpha": (lambda t: without(t, ".alpha"), "does not say its alpha"),
    "another shape": (lambda t: changed(t, "lora_down.weight", lambda x: x[:, :-1]), "do not fit"),
    "another rank": (lambda t: changed(t, "lora_down.weight", lambda x: x[:-1]), "do not fit"),
    "an unknown layer": (
        lambda t: t | {"lora_unet_nowhere.alpha": torch.tensor(1.0)},
        "of no layer that the checkpoint",
    ),
    "an unknown layout": (lambda t: t | {"lora_unet_x.lora_C.weight": torch.ones(1)}, "of no layout that is known"),
    "LoHa": (lambda t: t | {"lora_unet_x.hada_w1_a": torch.ones(1)}, "it is a LoHa"),
    "LoKr": (lambda t: t | {"lora_unet_x.lokr_w1": torch.ones(1)}, "it is a LoKr"),
    "DoRA": (lambda t: t | {"lora_unet_x.dora_scale": torch.ones(1)}, "it is a DoRA"),
    "LoCon with a middle": (lambda t: t | {"lora_unet_x.lora_mid.weight": torch.ones(1)}, "a middle part"),
    "SDXL": (lambda t: t | {"lora_te2_text_model_x.alpha": torch.ones(1)}, "one of SDXL"),
    "Flux": (lambda t: t | {"transformer.x.lora_A.weight": torch.ones(1)}, "another family"),
    "peft's own names": (lambda t: {"base_model.model.x.lora_A.weight": torch.ones(1)}, "of no layer"),
    "alphas for one layer": (lambda t: changed(t, ".alpha", lambda x: torch.ones(2)), "is no single number"),
    "a rank of 0": (
        lambda t: changed(changed(t, "down.weight", lambda x: x[:0]), "up.weight", lambda x: x[:, :0]),
        "fit",
    ),
    "a number for a matrix": (lambda t: changed(t, "lora_down.weight", lambda x: x[0, 0]), "do not fit"),
    "a row for a matrix": (lambda t: changed(t, "lora_up.weight", lambda x: x[0]), "do not fit"),
    "nothing": (lambda t: {}, "holds no layer"),
}


@pytest.mark.parametrize(("spoil", "says"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_known_whole_is_refused_by_name_and_leaves_nothing(loaded, loras, folder, files, spoil, says):
    layers = layers_of(loaded.pipeline)
    save(kohya(layers), folder / "good.safetensors")
    file = save(spoil(kohya(layers)), folder / "bad.safetensors")
    usual = digest(loaded.pipeline)
    loras.use([Lora("good")], files)
    with pytest.raises(LoraError) as refused:
        loras.use([Lora("bad"), Lora("good")], files)
    assert str(file) in str(refused.value)
    assert says in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert digest(loaded.pipeline) == usual
    assert loras.used == ()
    assert loras.use([Lora("good")], files)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04 a pickle", "is no safetensors file"),
        (struct.pack("<Q", 100) + b'{"x"', "cut short"),
    ],
)
def test_a_file_that_is_none_is_named(loras, folder, files, content, says):
    (folder / "bad.safetensors").write_bytes(content)
    with pytest.raises(LoraError, match=says):
        loras.use([Lora("bad")], files)


def test_alpha_beside_the_file_is_taken_where_the_file_has_none(loaded, loras, folder, files):
    layers = random_layers(loaded.pipeline)
    tensors, _ = diffusers(layers)
    save(tensors, folder / "olive.safetensors")
    before = weights_of(loaded.pipeline)
    with pytest.raises(LoraError, match=r'write \{"lora_alpha": 8\} to .*olive.json'):
        loras.use([Lora("olive")], files)
    (folder / "olive.json").write_text('{"lora_alpha": 16}')
    loras.use([Lora("olive")], files)
    require_effect(loaded.pipeline, before, layers, 1.0)


@pytest.mark.parametrize(
    ("said", "factor"),
    [
        ({"unet.lora_alpha": 4}, 4 / 8),
        ({"unet.lora_alpha": 4, "unet.use_rslora": True}, 4 / 8**0.5),
        ({"unet.lora_alpha": 4, "unet.alpha_pattern": {"attn1.to_q": 2}}, 2 / 8),
        ({"unet.lora_alpha": 4, "unet.alpha_pattern": {"attn9.to_q": 2}}, 4 / 8),
        ({"unet.lora_alpha": 4, "unet.alpha_pattern": {r"^down_blocks\.\w+": 2}}, None),
        ({"unet.lora_alpha": 4, "unet.alpha_pattern": {"(": 2}}, None),
    ],
)
def test_what_the_header_says_of_alpha(loaded, loras, folder, files, said, factor):
    (layer, *_) = random_layers(loaded.pipeline, names=("attn1.to_q",), parts=("unet",))
    save(diffusers([layer])[0], folder / "olive.safetensors", {"lora_adapter_metadata": json.dumps(said)})
    before = weights_of(loaded.pipeline)
    if factor is None:
        # A pattern of a file may be any, and take any time to be looked for.
        with pytest.raises(LoraError, match="alpha_pattern"):
            loras.use([Lora("olive")], files)
        return
    loras.use([Lora("olive")], files)
    name = f"unet.{layer.name}.weight"
    found = weights_of(loaded.pipeline)[name] - before[name]
    assert torch.allclose(found, factor * layer.up @ layer.down, atol=1e-6)


@pytest.mark.parametrize(
    "said", ["{", "[]", '{"unet.lora_alpha": "x"}', '{"unet.lora_alpha": NaN}', '{"unet.use_dora": true}', "{}"]
)
def test_a_header_that_means_nothing_is_refused(loaded, loras, folder, files, said):
    tensors, _ = diffusers(layers_of(loaded.pipeline))
    save(tensors, folder / "olive.safetensors", {"lora_adapter_metadata": said})
    with pytest.raises(LoraError, match=r"olive.safetensors cannot be used: "):
        loras.use([Lora("olive")], files)


def test_names_and_what_lies_elsewhere(loaded, folder, files, tmp_path):
    tensors = kohya(layers_of(loaded.pipeline))
    inside = save(tensors, folder / "shoes" / "olive.safetensors")
    outside = save(tensors, tmp_path / "elsewhere" / "secret.safetensors")
    for name in ("olive", "shoes/olive", str(inside).removesuffix(".safetensors")):
        assert files.read(name).path == inside.resolve()
    (folder / "link.safetensors").symlink_to(outside)
    for name in ("../elsewhere/secret", str(outside).removesuffix(".safetensors"), "link", "nope", "owner/nope"):
        with pytest.raises(LoraError) as refused:
            files.read(name)
        assert str(folder) in str(refused.value) or "owner/nope" in str(refused.value)
    save(tensors, folder / "boots" / "olive.safetensors")
    with pytest.raises(LoraError, match="name one by its folder"):
        files.read("olive")
