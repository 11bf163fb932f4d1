"""The order of the stages, and what each takes from those before it."""

import shutil
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from models.checkpoints import checkpoint_defaults
from training import autoencoder, denoiser, evaluation, kind, text
from training.captions import NO_COLOUR, NO_KIND
from training.card import Evaluation, model_card
from training.checkpoint import save_checkpoint
from training.evaluation import STABLE_DIFFUSION, Drawn, Sample, contact_sheet, figures
from training.palette import COLOURS, KINDS
from training.pictures import Pictures, drawn, gathered
from training.stages import Stages
from training.wordings import BACKGROUNDS, USUAL

#: As many as the machine that the times in the card are of; other numbers round differently.
THREADS = 2
#: Pictures to train on, and others to measure with: multiples of the 48 classes.
_PICTURES, _HELD_OUT = 256 * 48, 10 * 48
#: Captions of each colour and kind that the denoiser trains with.
_CAPTIONS = 96
#: Each stage begins with a seed of its own, so that its result does not depend on what ran before it today.
_TEXT_SEED, _AUTOENCODER_SEED, _DENOISER_SEED, _GUIDANCE_SEED, _KIND_SEED = 3, 0, 4, 5, 6
_PICTURES_SEED, _HELD_OUT_SEED = 1, 2


def make_checkpoint(stages: Stages, out: Path, sheet: Path | None) -> Evaluation:
    """Run what stages are left, write the checkpoint with its evaluation and card to `out`, and return what was found.

    `sheet`, where given, becomes a PNG of all pictures that were drawn with the checkpoint's own defaults.
    """
    drawings = _Drawings(stages)
    tokenizer, encoder = _text(stages)
    vae = _autoencoder(stages, drawings)
    unet = _denoiser(stages, drawings, vae, tokenizer, encoder)
    measure = _kind_measure(stages, drawings)
    made = stages.folder / "checkpoint"
    shutil.rmtree(made, ignore_errors=True)
    save_checkpoint(made, tokenizer, encoder, vae, unet)
    found = _evaluate(stages, made, drawings.held_out, measure, sheet)
    (made / "evaluation.json").write_text(found.model_dump_json(indent=2) + "\n")
    (made / "README.md").write_text(model_card(found))
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(made, out)
    return found


class _Drawings:
    """The pictures, drawn when a stage asks for them."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages

    @cached_property
    def training(self) -> Pictures:
        return self._drawn("drawing", _PICTURES, _PICTURES_SEED)

    @cached_property
    def held_out(self) -> Pictures:
        return self._drawn("drawing others", _HELD_OUT, _HELD_OUT_SEED)

    def _drawn(self, name: str, number: int, seed: int) -> Pictures:
        return gathered(self._stages.watched(name, number // (len(COLOURS) * len(KINDS)), drawn(number, seed)))


def _text(stages: Stages) -> tuple[CLIPTokenizer, CLIPTextModel]:
    tokenizer = text.make_tokenizer(np.random.default_rng(_TEXT_SEED))

    def make() -> dict[str, Tensor]:
        torch.manual_seed(_TEXT_SEED)
        model = text.build(tokenizer)
        steps = text.train(model, tokenizer, np.random.default_rng(_TEXT_SEED))
        stages.watched("text encoder", text.STEPS, steps, lambda right: f"{right:.1%} told right")
        return model.state_dict()

    encoder = text.build(tokenizer)
    encoder.load_state_dict(stages.run("text", make))
    return tokenizer, encoder.eval()


def _autoencoder(stages: Stages, drawings: _Drawings) -> AutoencoderKL:
    def make() -> dict[str, Tensor]:
        pictures = drawings.training
        torch.manual_seed(_AUTOENCODER_SEED)
        model = autoencoder.build()
        steps = autoencoder.train(model, pictures, torch.Generator().manual_seed(_AUTOENCODER_SEED))
        stages.watched("autoencoder", autoencoder.STEPS, steps, lambda loss: f"loss {loss:.3f}")
        return model.state_dict()

    model = autoencoder.build()
    model.load_state_dict(stages.run("autoencoder", make))
    return model.eval()


def _denoiser(
    stages: Stages, drawings: _Drawings, vae: AutoencoderKL, tokenizer: CLIPTokenizer, encoder: CLIPTextModel
) -> nn.Module:
    def encode() -> dict[str, Tensor]:
        pictures = drawings.training
        pool = text.caption_pool(encoder, tokenizer, _CAPTIONS, np.random.default_rng(_DENOISER_SEED))
        embeddings = stages.watched("captions", (NO_COLOUR + 1) * (NO_KIND + 1), pool)
        pool_shape = (NO_COLOUR + 1, NO_KIND + 1, _CAPTIONS, text.PLACES, text.WIDTH)
        return {
            "latents": autoencoder.encoded(vae, pictures),
            "colours": pictures.colours,
            "kinds": pictures.kinds,
            "embeddings": torch.cat(embeddings).reshape(pool_shape).half(),
        }

    data = denoiser.Latents(**stages.run("latents", encode))

    def make() -> dict[str, Tensor]:
        torch.manual_seed(_DENOISER_SEED)
        model = denoiser.build()
        steps = denoiser.train(model, data, torch.Generator().manual_seed(_DENOISER_SEED))
        stages.watched("denoiser", denoiser.STEPS, steps, lambda loss: f"loss {loss:.3f}")
        return model.state_dict()

    model = denoiser.build()
    model.load_state_dict(stages.run("denoiser", make))

    def guide() -> dict[str, Tensor]:
        steps = denoiser.guide(model, data.empty, data, torch.Generator().manual_seed(_GUIDANCE_SEED))
        stages.watched("guidance", denoiser.GUIDED_STEPS, steps, lambda loss: f"loss {loss:.5f}")
        return model.state_dict()

    model.load_state_dict(stages.run("guidance", guide))
    return model.eval()


def _kind_measure(stages: Stages, drawings: _Drawings) -> nn.Module:
    def make() -> dict[str, Tensor]:
        torch.manual_seed(_KIND_SEED)
        model = kind.build()
        steps = kind.train(model, drawings.training, torch.Generator().manual_seed(_KIND_SEED))
        stages.watched("measure of kind", kind.STEPS, steps, lambda right: f"{right:.1%} told right")
        return model.state_dict()

    model = kind.build()
    model.load_state_dict(stages.run("kind", make))
    return model.eval()


def _evaluate(stages: Stages, folder: Path, held_out: Pictures, measure: nn.Module, sheet: Path | None) -> Evaluation:
    sample = Sample(folder)
    own = checkpoint_defaults(str(folder.resolve()))
    sets = {"own": (own, USUAL), "unseen": (own, BACKGROUNDS), "stable_diffusion": (STABLE_DIFFUSION, USUAL)}
    drawn = {
        name: stages.watched(
            f"evaluation, {name}", sum(1 for _ in evaluation.prompts(wordings)), sample.draw(values, wordings)
        )
        for name, (values, wordings) in sets.items()
    }
    if sheet is not None:
        contact_sheet([one.picture for one in drawn["own"]]).save(sheet)
    return Evaluation(
        drawings=_PICTURES,
        training_s=stages.seconds,
        training_threads=THREADS,
        load_s=sample.load_s,
        picture_s=float(np.median([one.seconds for one in drawn["own"]])),
        reconstruction_db=autoencoder.peak_signal_to_noise(sample.autoencoder, held_out),
        measures=figures([Drawn(*labelled) for labelled in held_out.labelled()], measure),
        own=figures(drawn["own"], measure),
        unseen=figures(drawn["unseen"], measure),
        stable_diffusion=figures(drawn["stable_diffusion"], measure),
    )
