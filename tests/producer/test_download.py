"""`producer download` against a hub on this machine, and what `doctor` says of a checkpoint before and after."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hub_server import COMMIT, HubServer
from installation import Installation
from lora_files import save

from models.checkpoints import DEMO_FOLDER
from producer.actions.machine.download import choose_files

SD15 = [
    "README.md",
    "model_index.json",
    "v1-5-pruned.safetensors",
    "v1-5-pruned-emaonly.ckpt",
    "feature_extractor/preprocessor_config.json",
    "safety_checker/config.json",
    "safety_checker/model.safetensors",
    "safety_checker/model.fp16.safetensors",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "text_encoder/model.fp16.safetensors",
    "text_encoder/pytorch_model.bin",
    "tokenizer/merges.txt",
    "tokenizer/vocab.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet/diffusion_pytorch_model.non_ema.safetensors",
    "unet/diffusion_pytorch_model.fp16.bin",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
]
CONFIGS = {
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "tokenizer/merges.txt",
    "tokenizer/vocab.json",
    "unet/config.json",
    "vae/config.json",
}

#: So that the device need not be asked.
AS_SAID = ("--dtype", "float32")


@pytest.mark.parametrize(
    ("half", "weights"),
    [
        (True, {"text_encoder/model.fp16.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors"}),
        (False, {"text_encoder/model.safetensors", "unet/diffusion_pytorch_model.safetensors"}),
    ],
)
def test_each_components_weights_are_fetched_once(half, weights):
    # The decoder has no half precision here, so its only weights are taken either way.
    expected = CONFIGS | weights | {"vae/diffusion_pytorch_model.safetensors"}
    assert set(choose_files(SD15, half=half, safety_checker=False)) == expected


def test_the_safety_checker_is_fetched_where_it_is_on():
    extra = set(choose_files(SD15, half=True, safety_checker=True)) - set(
        choose_files(SD15, half=True, safety_checker=False)
    )
    assert extra == {
        "feature_extractor/preprocessor_config.json",
        "safety_checker/config.json",
        "safety_checker/model.fp16.safetensors",
    }


@pytest.fixture
def hub() -> Iterator[HubServer]:
    server = HubServer({str(p.relative_to(DEMO_FOLDER)): p for p in DEMO_FOLDER.rglob("*") if p.is_file()})
    yield server
    server.close()


@pytest.fixture
def online(hub: HubServer, installation) -> Iterator[Installation]:
    with installation(HF_ENDPOINT=hub.url, HF_HUB_DISABLE_XET="1", NIGHTSHIFT_CHECKPOINT="owner/shoes") as made:
        yield made


def test_what_is_fetched_is_what_the_worker_finds(online: Installation, hub: HubServer):
    done = online.producer("download")
    assert done.returncode == 0, done.stderr
    snapshot = Path(done.stdout.splitlines()[0].removeprefix("owner/shoes is in "))
    assert snapshot.name == COMMIT
    weights = "unet/diffusion_pytorch_model.safetensors"
    assert (snapshot / weights).read_bytes() == (DEMO_FOLDER / weights).read_bytes()
    found = {check["name"]: check for check in online_checks(online)}
    assert found["checkpoint"]["remedy"] is None
    assert COMMIT[:10] in found["checkpoint"]["found"]


@pytest.mark.parametrize("name", ["pytorch_lora_weights.safetensors", "shoes.safetensors"])
def test_a_lora_is_fetched_and_found_by_its_repository(online: Installation, hub: HubServer, tmp_path: Path, name: str):
    file = save({"x": torch.ones(1)}, tmp_path / name)
    hub.files = {
        name: file,
        "README.md": tmp_path / "r",
        "sample/picture.png": tmp_path / "p",
        "old.bin": tmp_path / "o",
    }
    for other in ("r", "p", "o"):
        (tmp_path / other).write_text("nobody needs it")
    refused = online.producer("download", *AS_SAID)
    assert refused.returncode == 1
    assert "--lora fetches a LoRA" in refused.stderr
    done = online.producer("download", "owner/shoes", "--lora")
    assert done.returncode == 0, done.stderr
    assert set(hub.fetched) == {name}
    assert "use it with --lora owner/shoes" in done.stdout
    worker_sees = "from models.lora_files import find_lora; print(find_lora('owner/shoes', []).read_bytes().hex())"
    seen = subprocess.run(
        [sys.executable, "-c", worker_sees],
        env=online.environment | {"PATH": os.environ["PATH"], "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert seen.stdout.strip() == file.read_bytes().hex()


def test_a_repository_without_a_lora_is_said(online: Installation, hub: HubServer):
    refused = online.producer("download", "owner/shoes", "--lora")
    assert refused.returncode == 1
    assert "owner/shoes on the hub is no LoRA" in refused.stderr


def test_a_revision_is_used_by_its_folder(online: Installation):
    done = online.producer("download", "--revision", COMMIT, *AS_SAID)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    folder = first.removeprefix("owner/shoes is in ")
    assert second.endswith(f"this revision is used with NIGHTSHIFT_CHECKPOINT={folder}")
    found = {check["name"]: check for check in online_checks(online, NIGHTSHIFT_CHECKPOINT=folder)}
    assert found["checkpoint"]["remedy"] is None


def test_before_it_is_fetched_doctor_says_what_to_do(online: Installation):
    found = {check["name"]: check for check in online_checks(online)}
    assert "producer download owner/shoes" in found["checkpoint"]["remedy"]


def online_checks(online: Installation, **variables: str) -> list[dict]:
    return json.loads(online.producer("doctor", "--json", **variables).stdout)


def test_a_download_that_was_cut_short_goes_on(online: Installation, hub: HubServer):
    weights = "unet/diffusion_pytorch_model.safetensors"
    hub.cut = weights
    online.producer("download", *AS_SAID)
    assert hub.cut is None, "the connection was cut"
    again = online.producer("download", *AS_SAID)
    assert again.returncode == 0, again.stderr
    assert all(count == 1 for name, count in hub.fetched.items() if name != weights)
    assert hub.fetched[weights] == 2


@pytest.mark.parametrize(
    ("name", "revision", "said"),
    [
        ("owner/boots", None, "the hub has no owner/boots"),
        ("owner/shoes", "nope", "owner/shoes has no revision nope"),
        ("owner/gated", None, "owner/gated is gated"),
        ("demo", None, "demo is no hub id"),
    ],
)
def test_what_cannot_be_fetched_is_one_line(online: Installation, name, revision, said):
    done = online.producer("download", name, *AS_SAID, *(["--revision", revision] if revision else []))
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("producer: ")]
    assert said in line
    assert "Traceback" not in done.stderr


def test_without_a_network_it_names_the_ways_round(nightshift: Installation):
    done = nightshift.producer("download", "owner/shoes", "--dtype", "float16", HF_HUB_OFFLINE="1")
    assert done.returncode == 1
    for way in ("NIGHTSHIFT_CHECKPOINT", "HF_HOME", "HF_ENDPOINT"):
        assert way in done.stderr
