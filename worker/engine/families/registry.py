"""The families of checkpoints, by the class of pipeline that a checkpoint's index names."""

from collections.abc import Mapping
from importlib import import_module

from worker.engine.families.family import Family

#: Where each is; a module is imported with its first checkpoint, since diffusers' parts are slow to import.
_FAMILIES: Mapping[str, str] = {
    "StableDiffusionPipeline": "worker.engine.families.stable_diffusion:StableDiffusion",
}


def family_of(pipeline: str) -> Family:
    """Return the family of a pipeline's class that `local_checkpoint.PIPELINES` has."""
    module, _, name = _FAMILIES[pipeline].partition(":")
    family: Family = getattr(import_module(module), name)()
    return family
