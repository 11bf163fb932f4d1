"""Fetching a checkpoint from the hub: its files that are loaded, and no others."""

import re
from pathlib import Path, PurePosixPath

import httpx2
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub import logging as hub_logging
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from models.checkpoints import canonical_checkpoint, is_hub_id
from models.lora_files import LORA_SUFFIX
from models.types.errors import CheckpointError

# The hub library tells of its retries on its own; the one line at the end says what matters.
hub_logging.set_verbosity_error()  # type: ignore[no-untyped-call]

_WEIGHTS = re.compile(r"(model|diffusion_pytorch_model)(\.fp16)?\.safetensors")
_SAFETY = {"safety_checker", "feature_extractor"}


def download(name: str, *, revision: str | None, half: bool, safety_checker: bool, lora: bool = False) -> Path:
    """Fetch checkpoint or LoRA `name` into the hub's cache and return its folder; what is there already is kept.

    Raises:
        CheckpointError: if the name is no hub id, the hub has no such repository, or cannot be reached.
    """
    name = canonical_checkpoint(name)
    if not is_hub_id(name):
        raise CheckpointError(f"{name} is no hub id such as owner/name; a folder or file needs no download")
    try:
        listed = HfApi().list_repo_files(name, revision=revision)
        wanted = lora_files(listed) if lora else choose_files(listed, half=half, safety_checker=safety_checker)
        if lora and not wanted:
            raise CheckpointError(f"{name} on the hub is no LoRA: it has no .safetensors file")
        if not lora and "model_index.json" not in wanted:
            raise CheckpointError(
                f"{name} on the hub is no diffusers checkpoint: it has no model_index.json; --lora fetches a LoRA"
            )
        return Path(snapshot_download(name, revision=revision, allow_patterns=wanted))
    except GatedRepoError as error:
        raise CheckpointError(f"{name} is gated: accept its terms on the hub, then `hf auth login`") from error
    except RevisionNotFoundError as error:
        raise CheckpointError(f"{name} has no revision {revision}") from error
    except RepositoryNotFoundError as error:
        raise CheckpointError(
            f"the hub has no {name}, or it is private: look at the spelling, or `hf auth login`"
        ) from error
    except (OfflineModeIsEnabled, LocalEntryNotFoundError, HfHubHTTPError, httpx2.HTTPError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"the hub cannot be reached ({reason}). Run it again to go on where it stopped; without a network, set "
            "NIGHTSHIFT_CHECKPOINT to a folder or .safetensors file, HF_HOME to a cache that holds it, or HF_ENDPOINT "
            "to a mirror"
        ) from error


def lora_files(listed: list[str]) -> list[str]:
    """Return a repository's LoRAs, and what may say their alpha; nothing of one that has a checkpoint's folders."""
    if "model_index.json" in listed:
        return []
    found = [file for file in listed if "/" not in file and file.endswith(LORA_SUFFIX)]
    beside = {"adapter_config.json", *(file.removesuffix(LORA_SUFFIX) + ".json" for file in found)}
    return found and [*found, *(file for file in listed if file in beside)]


def choose_files(listed: list[str], *, half: bool, safety_checker: bool) -> list[str]:
    """Return which of a repository's files are loaded here: configs, and each component's weights once."""
    wanted = []
    for file in map(PurePosixPath, listed):
        folder = str(file.parent)
        if len(file.parts) > 2 or (folder in _SAFETY and not safety_checker):
            continue
        if file.name == "model_index.json" or (len(file.parts) == 2 and file.suffix in {".json", ".txt"}):
            wanted.append(str(file))
        elif len(file.parts) == 2 and (match := _WEIGHTS.fullmatch(file.name)):
            twin = f"{folder}/{match[1]}{'' if match[2] else '.fp16'}.safetensors"
            if bool(match[2]) == half or twin not in listed:
                wanted.append(str(file))
    return wanted
