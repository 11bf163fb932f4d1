"""From accepted pictures to a LoRA and its pictures, by the commands that people type."""

import json
import os
import re
import shutil
import struct
from statistics import fmean

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from faults import QUICK
from PIL import Image
from small_trainings import data_set, flags, segments, train, training, wait_until_over
from tensorboardX.proto import event_pb2

from models.checkpoints import DEMO_FOLDER
from models.records.tables import Attempt
from models.types.states import JobState
from training.drawing import draw_shoe

OLIVE = (110, 118, 60)


@pytest.fixture(scope="module")
def redis_server(new_server):
    made = new_server()
    made.start()
    return made


@pytest.fixture(scope="module")
def nightshift(installation, redis_server):
    with installation(redis_server.url(0), **QUICK) as made:
        made.wait_until_ready(made.start_worker())
        yield made


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return data_set(tmp_path_factory.mktemp("data"), held_out=2)


@pytest.mark.smoke
def test_from_accepted_pictures_to_a_lora_and_its_pictures(nightshift, tmp_path):
    batch = nightshift.enqueue(
        *(word for colour in ("red", "blue", "green") for word in ("--prompt", f"a {colour} boot")),
        *("--count", 2, "--checks", "none", "--batch", "accepted"),
    )
    nightshift.wait_until_finished(batch)
    planned = nightshift.producer("train", "boots", "--data", batch, *flags(), "--dry-run")
    assert "boots: 4 pictures from" in planned.stdout
    assert "2 more are held out" in planned.stdout
    assert "time, memory and disk: not measured: another worker has the device cpu" in planned.stdout
    assert planned.stdout.endswith("Nothing was queued (--dry-run).\n")
    # More of it may be made, and so accepted, between the two.
    nightshift.wait_until_finished(nightshift.enqueue("--prompt", "a white boot", "--count", 2, "--batch", "more"))
    again = nightshift.producer(
        "train", "boots", "--data", batch, "--data", "more", *flags(), "--dry-run", "--no-trial"
    )
    assert "boots: 6 pictures from" in again.stdout
    asked = ("--validation-prompt", "a red boot", "--num-validation-images", 2, "--checks", "product")
    train(nightshift, "boots", batch, *asked, validation_steps=6, checkpoints_total_limit=1)
    over = wait_until_over(nightshift, "boots")
    assert (over.state, over.step, over.pictures, over.held_out) == ("succeeded", 12, 4, 2)
    nightshift.wait_until_finished("boots-validation")
    done = segments(nightshift, "boots")
    shown = nightshift.read_json("status", "boots")
    assert shown["pictures_per_s"] == pytest.approx(2 / fmean(one.step_s for one in done))
    assert f"boots: {shown['pictures_per_s']:.2f} pictures a second" in nightshift.producer("status", "boots").stdout
    assert [(one.begun_step, one.ended_step) for one in done] == [(0, 3), (3, 6), (6, 9), (9, 12)]
    assert all(one.loss > 0 and one.held_out_loss > 0 and one.step_s > 0 and one.rss_peak_bytes for one in done)
    assert [one.lora for one in done] == [None, "boots/boots-000006", None, "boots/boots-000012"]
    compared = nightshift.read_json("compare", "boots")
    names = ["none", "boots/boots-000006", "boots/boots-000012"]
    assert [(one["variant"], one["judged"]) for one in compared["variants"]] == [(name, 2) for name in names]
    page = tmp_path / "boots.html"
    assert nightshift.producer("compare", "boots", "--html", page).returncode == 0
    text = page.read_text()
    assert all(said in text for said in ("Loss, the mean of each segment", "Seconds a step", "held out"))
    card = tmp_path / "card"
    done = nightshift.producer("compare", "boots", "--card", card, "--keep")
    assert "removed 1 checkpoints: boots/boots-0000" in done.stdout
    (kept,) = (file.stem for file in (nightshift.data_dir / "loras" / "boots").iterdir())
    assert f"{card}: the card of boots/{kept}, and both of its files" in done.stdout.replace("\n", "")
    assert sorted(file.name for file in card.iterdir()) == [
        *("README.md", "boots-kohya.safetensors", "boots.safetensors", "sheet.png"),
    ]
    text = (card / "README.md").read_text()
    assert "4 were learnt from; 2 more were held out" in text
    assert "- a red boot" in text or "- a blue boot" in text
    assert str(nightshift.data_dir) not in text
    planned = nightshift.producer("train", "others", "--data", batch, *flags(), "--dry-run")
    assert planned.stderr == ""
    assert re.search(r"time by this machine's own history: [\d.]+ s", planned.stdout)
    assert re.search(r"memory at its peak: [\d.]+ [MG]B\n", planned.stdout)
    later = nightshift.enqueue("--prompt", "a red boot", "--lora", f"boots/{kept}")
    (job,) = nightshift.wait_until_finished(later)
    assert (job.state, job.lora) == (JobState.SUCCEEDED, f"boots/{kept}")


def test_plain_diffusers_takes_what_comes_of_it(nightshift, pictures):
    train(nightshift, "plain", pictures, "--train-text-encoder")
    wait_until_over(nightshift, "plain")
    pipeline = StableDiffusionPipeline.from_pretrained(DEMO_FOLDER, safety_checker=None)
    sample = torch.ones(1, pipeline.unet.config.in_channels, 8, 8)

    def said():
        tokens = pipeline.tokenizer("a red square", padding="max_length", return_tensors="pt").input_ids
        with torch.no_grad():
            return pipeline.unet(sample, 500, pipeline.text_encoder(tokens)[0]).sample

    usual, found = said(), []
    for folder in (nightshift.data_dir / "loras" / "plain", nightshift.data_dir / "trainings" / "plain" / "kohya"):
        pipeline.load_lora_weights(folder, weight_name="plain-000012.safetensors")
        found.append(said())
        pipeline.unload_lora_weights()
    of_diffusers, of_kohya = found
    assert torch.allclose(of_diffusers, of_kohya, atol=1e-4)
    assert not torch.allclose(of_diffusers, usual, atol=1e-3)


def test_nothing_is_removed_before_all_is_compared(nightshift, pictures):
    assert nightshift.producer("pause").returncode == 0
    train(nightshift, "early", pictures, "--validation-prompt", "a boot", num_validation_images=4)
    done = nightshift.producer("compare", "early", "--keep", 1)
    assert done.returncode == 2
    assert "--keep: early is not compared yet, 4 of its pictures are yet to be made; nothing was removed" in done.stderr
    assert nightshift.producer("compare", "early-validation", "--keep", 1).returncode == 2
    assert nightshift.producer("resume").returncode == 0
    wait_until_over(nightshift, "early")


def test_what_it_keeps_is_listed_and_goes_by_its_name_once_it_is_over(nightshift, pictures):
    train(nightshift, "kept", pictures, validation_steps=6)
    wait_until_over(nightshift, "kept")
    train(nightshift, "goes-on", pictures, priority=9, max_train_steps=100_000)
    nightshift.wait_until(lambda: training(nightshift, "goes-on").state_file, "a segment")
    folder = nightshift.data_dir / "trainings" / "kept"
    rows = {row["training"]: row for row in nightshift.read_json("gc")["trainings"]}
    names = {file.name for file in folder.iterdir()}
    assert (rows["kept"]["files"], rows["kept"]["done"], rows["goes-on"]["done"]) == (3, True, False)
    refused = nightshift.producer("gc", "--training", "goes-on", "--training", "nobody")
    assert refused.stderr.splitlines() == [
        "producer: goes-on: is not done yet; `producer cancel goes-on` ends it",
        "producer: nobody: no training of that name keeps anything; `producer gc` lists those that do",
    ]
    counted = nightshift.producer("gc", "--training", "kept", "--dry-run")
    assert counted.stdout.startswith("3 files would be removed")
    assert {file.name for file in folder.iterdir()} == names
    assert nightshift.producer("gc", "--training", "kept").stdout.startswith("3 files removed")
    assert [file.name for file in folder.iterdir()] == ["kohya"]
    assert len(list((nightshift.data_dir / "loras" / "kept").iterdir())) == 2
    assert nightshift.producer("status", "kept").returncode == 0
    assert nightshift.producer("cancel", "goes-on").returncode == 0
    wait_until_over(nightshift, "goes-on")


def test_what_is_urgent_comes_between_two_segments(nightshift, pictures):
    train(nightshift, "long", pictures, max_train_steps=300, segment_steps=3, checkpointing_steps=300)
    nightshift.wait_until(lambda: training(nightshift, "long").step, "the first segment")
    batch = nightshift.enqueue("--prompt", "a boot", "--priority", 0)
    (job,) = nightshift.wait_until_finished(batch)
    assert job.state == JobState.SUCCEEDED
    assert training(nightshift, "long").state in ("queued", "running")
    assert nightshift.producer("cancel", "long").stdout.startswith("training long: ")
    assert wait_until_over(nightshift, "long").state == "cancelled"
    assert nightshift.producer("cancel", "long").stdout == "training long: it has ended already: cancelled\n"
    assert any(row.job_id == job.id for row in nightshift.rows(Attempt))


def test_a_queue_that_was_emptied_and_a_redis_that_was_away_lose_no_training(nightshift, pictures, redis_server):
    assert nightshift.producer("pause").returncode == 0
    train(nightshift, "emptied", pictures)
    with redis_server.client() as client:
        client.flushdb()
    away = nightshift.producer(
        "train", "away", "--data", pictures, *flags(), NIGHTSHIFT_BROKER_URL="redis://127.0.0.1:1/0"
    )
    assert away.returncode == 1
    assert "Nothing is lost: the training is recorded, and `producer publish` puts it on the queue" in away.stderr
    assert nightshift.producer("resume").returncode == 0
    assert wait_until_over(nightshift, "emptied").state == "succeeded"
    assert wait_until_over(nightshift, "away").state == "succeeded"
    assert len(segments(nightshift, "emptied")) == 4


@pytest.mark.parametrize(
    ("name", "data", "more", "said"),
    [
        ("../x", "{data}", [], "use up to 64 letters, digits, dots, dashes and underscores"),
        ("new", "/nowhere/at/all", [], "--data /nowhere/at/all: there is no such folder"),
        ("new", "nobatch", [], "there is no batch"),
        ("new", "{data}", ["--lora-rank", "0"], "lora_rank=0: Input should be greater than or equal to 1"),
        ("new", "{data}", ["--lr-warmup-steps", "99"], "the rate would never reach its height"),
        ("new", "{empty}", [], "holds no picture"),
        ("new", "{broken}", [], "cannot be read as a picture"),
    ],
)
def test_what_cannot_be_trained_is_said_in_a_line_and_nothing_is_queued(
    nightshift, pictures, tmp_path, name, data, more, said
):
    broken = data_set(tmp_path / "broken")
    (broken / "train" / "2.png").write_bytes(b"none")
    (tmp_path / "empty").mkdir()
    folder = data.format(data=pictures, empty=tmp_path / "empty", broken=broken)
    done = nightshift.producer("train", name, "--data", folder, *flags(), *more)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert nightshift.producer("status", name).returncode == 2


def test_a_name_that_is_taken_is_said(nightshift, pictures):
    nightshift.enqueue("--prompt", "a boot", "--batch", "taken")
    done = nightshift.producer("train", "taken", "--data", pictures, *flags())
    assert (done.returncode, done.stderr) == (
        2,
        "producer: taken: there is a training or a batch of that name already; choose another name\n",
    )


def test_a_layer_that_is_not_there_fails_in_one_line(nightshift, pictures):
    train(nightshift, "layers", pictures, "--lora-target-modules", "nowhere")
    wait_until_over(nightshift, "layers")
    found = nightshift.read_json("status", "layers")
    assert (found["state"], found["cause"]) == ("failed", "training")
    assert "the UNet has no layer nowhere" in found["error"]
    assert "Traceback" not in nightshift.workers[0].log


def test_a_configuration_as_scripts_have_it_is_taken(nightshift, pictures, tmp_path):
    asked: dict[str, object] = {"resolution": 64, "max_train_steps": 3, "num_train_epochs": 1}
    asked |= {"gradient_checkpointing": True, "num_validation_images": 1}
    (tmp_path / "config.py").write_text(f"training_config = {asked!r}\n")
    done = nightshift.producer(
        "train", "script", "--data", pictures, "--config", tmp_path / "config.py", "--train-batch-size", 1, "--follow"
    )
    assert done.returncode == 0
    assert "num_train_epochs has no effect: max_train_steps is told, too" in done.stderr
    assert "script: step 3 of 3; succeeded" in done.stderr
    # It names no prompts: what is held out has some.
    when = "before it, every 500 steps, and at its end"
    assert f"2 pictures {when}: 'a red square', 'a green square'\n" in done.stdout
    made = nightshift.wait_until_finished("script-validation")
    assert [(job.prompt, job.lora) for job in made] == [
        (f"a {colour} square", lora) for lora in ("", "script/script-000003") for colour in ("red", "green")
    ]
    stored = json.loads(nightshift.producer("status", "script", "--json").stdout)
    assert (stored["state"], stored["config"]["train_batch_size"], stored["config"]["model_id"]) == (
        "succeeded",
        1,
        "demo",
    )


def test_it_is_told_in_passes_and_by_a_revision_of_the_hub(nightshift, pictures, tmp_path):
    repository = nightshift.folder / "hub" / "hub" / "models--somebody--demo"
    snapshot = repository / "snapshots" / ("c0ffee" * 6 + "c0ff")
    # As the hub's library lays files down: links to what lies elsewhere.
    shutil.copytree(DEMO_FOLDER, snapshot, copy_function=os.symlink)
    (repository / "refs").mkdir()
    (repository / "refs" / "shoes").write_text(snapshot.name)
    asked = ("--model-id", "somebody/demo", "--revision")
    passes = {"max_train_steps": None, "num_train_epochs": 2, "validation_epochs": 1}
    one = ("--validation-prompt", "a boot", "--num-validation-images", 1)
    train(nightshift, "passes", pictures, *asked, "shoes", *one, **passes)
    over = wait_until_over(nightshift, "passes")
    # 5 pictures, 2 a step: 3 steps a pass.
    assert (over.state, over.step, over.config["model_id"]) == ("succeeded", 5, str(snapshot))
    made = nightshift.wait_until_finished("passes-validation")
    assert [(job.state, job.lora) for job in made] == [
        ("succeeded", lora) for lora in ("", "passes/passes-000003", "passes/passes-000005")
    ]
    card = tmp_path / "card"
    nightshift.producer("compare", "passes", "--card", card)
    text = (card / "README.md").read_text()
    assert "base_model: somebody/demo\n" in text
    assert "trained by Nightshift: step 5 of 5." in text
    for revision, model, why in (
        ("boots", "somebody/demo", "`producer download somebody/demo --revision boots` fetches it"),
        ("../..", "somebody/demo", "revision ../.."),
        ("boots", "demo", "checkpoint demo is none of the hub"),
    ):
        done = nightshift.producer(
            "train", "refused", "--data", pictures, *flags(), "--model-id", model, "--revision", revision
        )
        assert (done.returncode, why in done.stderr, "Traceback" in done.stderr) == (2, True, False)


@pytest.mark.parametrize("is_elsewhere", [False, True])
def test_figures_are_written_for_tensorboard_where_that_is_asked(nightshift, pictures, tmp_path, is_elsewhere):
    name = "elsewhere" if is_elsewhere else "board"
    train(nightshift, name, pictures, "--report-to", "tensorboard", logging_dir=tmp_path if is_elsewhere else None)
    wait_until_over(nightshift, name)
    folder = tmp_path / name if is_elsewhere else nightshift.data_dir / "trainings" / name / "tensorboard"

    def read():
        return [scalar for file in sorted(folder.glob("events.out.tfevents.*")) for scalar in _scalars(file)]

    def losses():
        return [(step, value) for name, step, value in read() if name == "train/loss"]

    # They are written once the segment is recorded.
    nightshift.wait_until(lambda: len(losses()) == 12, "the figures of all steps")
    assert sorted(step for step, _ in losses()) == list(range(1, 13))
    means = [one.loss for one in segments(nightshift, name)]
    assert sum(value for _, value in losses()) / 12 == pytest.approx(sum(means) / 4, rel=1e-5)
    assert {name for name, _, _ in read()} >= {"validation/loss", "speed/seconds_a_step", "train/learning_rate"}


def _scalars(file):
    """Yield name, step and value of each, by the format: length, checksum, an Event of TensorBoard's, checksum."""
    content = file.read_bytes()
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        if len(content) < 16 + length:
            # The end is being written.
            return
        event = event_pb2.Event.FromString(content[12 : 12 + length])
        content = content[16 + length :]
        for value in event.summary.value:
            yield value.tag, event.step, value.simple_value


def test_a_worker_of_another_data_folder_leaves_it_to_those_that_have_its_files(
    installation, new_server, postgres, pictures
):
    server = new_server()
    server.start()
    shared = {"NIGHTSHIFT_DATABASE_URL": postgres.create(), **QUICK}
    with installation(server.url(0), **shared) as first, installation(server.url(0), **shared) as second:
        assert first.producer("migrate").returncode == 0
        other = second.wait_until_ready(second.start_worker())
        train(first, "mine", pictures)
        second.wait_until(lambda: "put back for a worker of that one" in other.log, "the other worker to put it back")
        assert training(first, "mine").segments == 0
        first.start_worker()
        assert wait_until_over(first, "mine").state == "succeeded"
        assert (first.data_dir / "loras" / "mine" / "mine-000012.safetensors").is_file()


@pytest.mark.slow
def test_a_colour_that_the_checkpoint_does_not_know_is_learnt(nightshift, tmp_path):
    rng = np.random.default_rng(1)
    folder = tmp_path / "olive" / "train"
    folder.mkdir(parents=True)
    captions = ("a photo of olive boots", "olive boots on white background", "olive boots")
    lines = []
    for number in range(12):
        draw_shoe("boot", OLIVE, rng).save(folder / f"{number}.png")
        lines += [json.dumps({"file_name": f"{number}.png", "text": caption}) for caption in captions]
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    asked: dict[str, object] = {"resolution": 128, "train_batch_size": 8, "max_train_steps": 160, "segment_steps": 40}
    asked |= {"learning_rate": 3e-3, "lr_scheduler": "cosine", "lora_dropout": 0, "caption_dropout": 0}
    asked |= {"checkpointing_steps": 160, "validation_steps": 160, "num_validation_images": 6}
    prompts = ("--validation-prompt", "a photo of olive boots", "--train-text-encoder", "--checks", "colour")
    train(nightshift, "colour", folder.parent, *prompts, **asked)
    assert wait_until_over(nightshift, "colour").state == "succeeded"
    nightshift.wait_until_finished("colour-validation")
    found: dict[bool, list[np.ndarray]] = {True: [], False: []}
    for job in nightshift.jobs("colour-validation"):
        found[job.attributes["lora"] == "none"].append(_colour(nightshift.data_dir / job.picture))
    without, learnt = (fmean(np.linalg.norm(one - OLIVE) for one in found[bare]) for bare in (True, False))
    # What the check asks for takes more steps than a test has: but all are of the hue, and nearer.
    assert all(green > red > blue for red, green, blue in found[False])
    assert not all(green > red > blue for red, green, blue in found[True])
    assert learnt < 0.8 * without


def _colour(file):
    """Return the colour of the shoe in a picture, in sRGB."""
    pixels = np.asarray(Image.open(file).convert("RGB"), dtype=float)
    return np.median(pixels[pixels.min(axis=2) < 200], axis=0)
