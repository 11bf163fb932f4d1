"""The pipeline itself, on the CPU and in this process: the same pictures as diffusers', and what goes wrong in them."""

import diffusers
import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import CLIPConfig, CLIPImageProcessor

from models.checkpoints import DEMO_FOLDER
from models.types.errors import GenerationError
from models.types.job import MAX_STEPS
from models.types.schedulers import SCHEDULERS
from worker.engine.devices.cpu import Cpu
from worker.engine.making.generation import generate

CPU = Cpu("cpu", torch.float32)
HALF = Cpu("cpu", torch.float16)


def no_step(_step):
    pass


@pytest.fixture(scope="module")
def loaded(load):
    """The demo, for tests that leave it as it is."""
    return load()


@pytest.fixture(scope="module")
def plain():
    """The demo as diffusers alone loads it."""
    pipeline = StableDiffusionPipeline.from_pretrained(DEMO_FOLDER)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture
def make(loaded, spec):
    """Return a function that makes a job's picture and gives its pixels."""

    def make(checkpoint=loaded, on_step=no_step, **values):
        return pixels(generate(checkpoint, CPU, spec(**values), on_step).picture)

    return make


def pixels(picture):
    assert picture.mode == "RGB"
    return np.asarray(picture)


def plain_call(pipeline, spec, **options):
    """Return what diffusers gives for the spec in one call."""
    scheduler = SCHEDULERS[spec.scheduler]
    pipeline.scheduler = getattr(diffusers, scheduler.diffusers_class).from_config(
        pipeline.scheduler.config, **scheduler.options
    )
    return pipeline(
        prompt=spec.prompt,
        negative_prompt=spec.negative_prompt,
        num_inference_steps=spec.steps,
        guidance_scale=spec.guidance,
        width=spec.width,
        height=spec.height,
        generator=torch.Generator("cpu").manual_seed(spec.seed),
        **options,
    ).images


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_gives_the_picture_of_a_plain_call_to_the_bit(make, spec, name):
    job = spec(scheduler=name, negative_prompt="blurred", seed=3)
    pipeline = StableDiffusionPipeline.from_pretrained(DEMO_FOLDER)
    pipeline.set_progress_bar_config(disable=True)
    picture = make(scheduler=name, negative_prompt="blurred", seed=3)
    assert picture.shape == (64, 64, 3)
    assert picture.std() > 1
    assert np.array_equal(picture, pixels(plain_call(pipeline, job)[0]))


@pytest.mark.parametrize(
    "values", [{"guidance": 0}, {"guidance": 1}, {"guidance": 12.5}, {"width": 192, "height": 64}, {"steps": 1}]
)
def test_guidance_size_and_steps_mean_what_they_mean_to_diffusers(make, plain, spec, values):
    assert np.array_equal(make(**values), pixels(plain_call(plain, spec(**values))[0]))


def test_without_guidance_the_negative_prompt_does_not_count(make):
    alone = make(guidance=1)
    assert np.array_equal(alone, make(guidance=1, negative_prompt="blurred"))
    assert np.array_equal(alone, make(guidance=0))
    assert not np.array_equal(make(guidance=2), make(guidance=2, negative_prompt="blurred"))


def test_one_scheduler_leaves_no_trace_on_the_next(load, make):
    names = ("PNDM", "DPM++ 2M", "Euler", "LMS")
    fresh = {name: make(load(), scheduler=name) for name in names}
    used = load()
    for before in ("DPM++ 2M SDE Karras", "Euler Karras", "LMS Karras", *names):
        make(used, scheduler=before)
        for name in names:
            assert np.array_equal(make(used, scheduler=name), fresh[name]), (name, before)


def test_what_a_step_raises_stops_at_once_and_leaves_the_pipeline_usable(make):
    usual, seen = make(), []

    def stop(step):
        seen.append(step)
        if step == 3:
            raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        make(on_step=stop)
    assert seen == [1, 2, 3]
    assert np.array_equal(make(), usual)


def test_a_step_is_told_for_each_step(make):
    seen = []
    make(on_step=seen.append, steps=4)
    assert seen == [1, 2, 3, 4]


# What is not a number


def test_nan_that_the_decoder_makes_is_an_error_and_no_picture(load, spec):
    checkpoint = load()
    with torch.no_grad():
        checkpoint.pipeline.vae.decoder.conv_out.weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(GenerationError, match=r"after decoding, in float32 too") as caught:
        generate(checkpoint, CPU, spec(), no_step)
    assert caught.value.cause == "not_finite"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_that_denoising_makes_says_so(load, spec, value):
    checkpoint = load()
    with torch.no_grad():
        checkpoint.pipeline.unet.conv_out.bias[0] = value
    with pytest.raises(GenerationError, match=r"after denoising") as caught:
        generate(checkpoint, CPU, spec(), no_step)
    assert caught.value.cause == "not_finite"


def test_a_decoder_that_overflows_in_float16_decodes_again_in_float32(load, spec):
    checkpoint = load(dtype=torch.float16)
    vae = checkpoint.pipeline.vae
    with torch.no_grad():
        # The first activations pass 65,504, the end of float16; the normalisation after them brings any size back.
        vae.decoder.conv_in.weight *= 20_000
    weights = {name: value.clone() for name, value in vae.state_dict().items()}
    latents = plain_call(checkpoint.pipeline, spec(), output_type="latent")
    assert torch.isfinite(latents).all()
    with torch.inference_mode():
        scaled = latents / vae.config.scaling_factor
        assert not torch.isfinite(vae.decode(scaled, return_dict=False)[0]).all()
        image = vae.float().decode(latents.float() / vae.config.scaling_factor, return_dict=False)[0]
        vae.half()
    assert torch.isfinite(image).all()
    expected = checkpoint.pipeline.image_processor.postprocess(image, output_type="pil")[0]

    made = generate(checkpoint, HALF, spec(), no_step)
    assert made.decoded_again
    assert np.array_equal(pixels(made.picture), pixels(expected))
    assert vae.dtype is torch.float16
    assert all(torch.equal(value, weights[name]) for name, value in vae.state_dict().items())


def test_a_decoder_that_does_well_decodes_once(load, spec):
    assert not generate(load(dtype=torch.float16), HALF, spec(), no_step).decoded_again


# The text


def test_a_prompt_of_77_places_is_whole(loaded, spec):
    made = generate(loaded, CPU, spec(prompt="shoe " * 75), no_step)
    assert (made.prompt_tokens, made.prompt_cut) == (77, None)


def test_what_is_cut_off_a_longer_prompt_is_told_and_has_no_effect(loaded, spec, make):
    words = ["shoe"] * 75
    made = generate(loaded, CPU, spec(prompt=" ".join([*words, "red", "boot"])), no_step)
    assert (made.prompt_tokens, made.prompt_cut) == (79, "red boot")
    assert np.array_equal(pixels(made.picture), make(prompt=" ".join([*words, "green"])))
    assert not np.array_equal(pixels(made.picture), make(prompt=" ".join([*words[:-1], "green"])))


def test_any_text_is_a_prompt(make):
    pictures = [make(prompt=text) for text in ("", "靴", "🥾" * 40, "<|endoftext|> shoe", "a\nb\tc", "%s {0} \\")]
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


# The safety checker


@pytest.fixture
def checked(load, tmp_path):
    """Return a loader of a demo with a real safety checker, of random weights, that blocks all or nothing."""

    def make(blocks):
        vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        checker = StableDiffusionSafetyChecker(
            CLIPConfig(vision_config={**vision, "image_size": 32, "patch_size": 16}, projection_dim=8)
        ).eval()
        # Every picture's likeness to a concept, from -1 to 1, is above the first threshold and below the second.
        checker.concept_embeds_weights.data.fill_(-2.0 if blocks else 2.0)
        checker.special_care_embeds_weights.data.fill_(2.0)
        pipeline = StableDiffusionPipeline.from_pretrained(
            DEMO_FOLDER,
            safety_checker=checker,
            feature_extractor=CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        )
        folder = tmp_path / f"checked-{blocks}"
        pipeline.save_pretrained(folder)
        return load(folder, safety_checker=True)

    return make


def test_a_picture_that_the_safety_checker_blocks_is_an_error(checked, spec):
    with pytest.raises(GenerationError, match="NIGHTSHIFT_SAFETY_CHECKER") as caught:
        generate(checked(blocks=True), CPU, spec(), no_step)
    assert caught.value.cause == "blocked"


def test_a_picture_that_the_safety_checker_passes_is_the_same_as_without(checked, make):
    assert np.array_equal(make(checked(blocks=False)), make())


@pytest.mark.parametrize("name", SCHEDULERS)
def test_each_picture_gets_a_scheduler_that_nothing_has_used(loaded, name):
    used = loaded.schedulers.new(name)
    used.set_timesteps(3)
    fresh = loaded.schedulers.new(name)
    assert used.num_inference_steps == 3
    assert fresh.num_inference_steps != 3
    assert fresh.config == used.config


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_takes_as_many_steps_as_it_says(loaded, name):
    most = SCHEDULERS[name].most_steps
    loaded.schedulers.new(name).set_timesteps(most or MAX_STEPS)
    if most is not None:
        with pytest.raises(ValueError, match="num_inference_steps"):
            loaded.schedulers.new(name).set_timesteps(most + 1)


@pytest.fixture
def encoded(load):
    """A demo of the test's own, and the number of texts that its encoder was given."""
    loaded, calls = load(), []
    loaded.pipeline.text_encoder.register_forward_hook(lambda *_: calls.append(1))
    return loaded, calls


def test_a_text_that_comes_again_is_not_encoded_again_and_gives_the_same_pixels(encoded, make):
    loaded, calls = encoded
    asked = {"prompt": "a red shoe", "negative_prompt": "blurred"}
    first = make(loaded, **asked)
    assert len(calls) == 2
    again = make(loaded, **asked)
    # As a negative prompt, or without guidance, a text is what it is.
    turned = make(loaded, prompt="blurred", negative_prompt="a red shoe")
    alone = make(loaded, prompt="blurred", guidance=1.0)
    assert len(calls) == 2
    assert np.array_equal(first, again)
    assert np.array_equal(turned, make(prompt="blurred", negative_prompt="a red shoe"))
    assert np.array_equal(alone, make(prompt="blurred", guidance=1.0))
    make(loaded, prompt="a red shoe ", negative_prompt="blurred")
    assert len(calls) == 3


def test_the_texts_that_are_kept_are_bounded(encoded):
    loaded, calls = encoded
    for number in range(65):
        loaded.prompt_embeddings.of(f"shoe {number}")
    loaded.prompt_embeddings.of("shoe 64")
    assert len(calls) == 65
    loaded.prompt_embeddings.of("shoe 0")
    assert len(calls) == 66
