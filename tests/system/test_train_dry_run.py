"""`producer train --dry-run`: what a training would learn from, and how long and how much it would take."""

import re
import subprocess

import pytest
from PIL import Image
from programs import PRODUCER
from small_trainings import data_set, flags, train, wait_until_over

from models.records.tables import Training


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return data_set(tmp_path_factory.mktemp("data"), held_out=2)


@pytest.fixture
def alone(installation):
    """Give an installation whose device nobody has."""
    with installation() as made:
        yield made


def test_what_it_takes_is_measured_where_nothing_is_known_of_it(alone, pictures):
    asked = ("train", "boots", "--data", pictures, *flags(), "--dry-run")
    found = alone.producer(*asked)
    first, *done = found.stderr.splitlines()
    assert "taking 3 steps on this machine's device" in first
    assert done[0].startswith("producer: loaded demo")
    assert re.fullmatch(r"producer: encoded \d+ pictures", done[1])
    assert done[2:] == [f"producer: took step {number} of 3" for number in (1, 2, 3)]
    assert re.search(
        r"time by 3 steps taken now: [\d.]+ m?s, [\d.]+ m?s a step; the loss of what is held out on top\n", found.stdout
    )
    assert re.search(r"memory at its peak: [\d.]+ [MG]B\n", found.stdout)
    told = float(re.search(r"disk: ([\d.]+) MB for its LoRAs", found.stdout)[1])
    without = alone.producer(*asked, "--no-trial")
    assert (without.stderr, "time and memory: not measured" in without.stdout) == ("", True)
    assert alone.rows(Training) == []
    train(alone, "boots", pictures)
    worker = alone.start_worker()
    wait_until_over(alone, "boots")
    assert worker.stop() == 0
    folders = (alone.data_dir / "trainings" / "boots", alone.data_dir / "loras")
    taken = sum(file.stat().st_size for folder in folders for file in folder.rglob("*") if file.is_file())
    # Of the states it has one in the end, and room for two on the way.
    (state,) = folders[0].glob("state-*")
    assert told == pytest.approx((taken + state.stat().st_size) / 1e6, rel=0.05)


def test_a_checkpoint_that_cannot_be_tried_is_said_and_the_rest_is_shown(alone, pictures):
    asked = ["train", "boots", "--data", pictures, *flags(), "--model-id=nobody/nothing", "--dry-run"]
    found = alone.producer(*asked)
    assert "not measured: checkpoint nobody/nothing" in found.stdout
    assert found.stdout.endswith("Nothing was queued (--dry-run).\n")


def test_memory_that_runs_out_in_a_trial_is_said_and_the_rest_is_shown(alone, pictures):
    much = ["--resolution=256", "--train-batch-size=256", "--no-gradient-checkpointing"]
    asked = [PRODUCER, "train", "boots", "--data", pictures, *flags(), *much, "--dry-run"]
    # In kibibytes: enough for the demo, and not for what is asked of it.
    with_little = ["bash", "-c", 'ulimit -v 4000000; exec "$@"', "with little memory", *asked]
    found = subprocess.run(with_little, env=alone.environment, capture_output=True, text=True, check=True)
    assert "not measured: out of memory in a training: a smaller train_batch_size needs less" in found.stdout
    assert found.stdout.endswith("Nothing was queued (--dry-run).\n")


def test_what_is_learnt_otherwise_than_one_may_think_is_said(alone, tmp_path):
    Image.new("RGB", (200, 60), "red").save(tmp_path / "small.png")
    (tmp_path / "small.txt").write_text("a boot " * 40 + "with laces")
    Image.new("RGB", (200, 200), "red").save(tmp_path / "large.png")
    (tmp_path / "large.txt").write_text("a boot")
    done = alone.producer("train", "otherwise", "--data", tmp_path, *flags(), "--dry-run", "--no-trial")
    assert done.returncode == 0
    small = tmp_path / "small.png"
    enlarged, cut = done.stderr.splitlines()
    assert enlarged == (
        "producer: warning: 1 of 2 pictures are smaller than they are learnt in, and enlarged: "
        f"{small} has 200x60 pixels"
    )
    assert cut.startswith(f"producer: warning: 1 of 2 captions have over 77 tokens; of {small} is cut off: ")
    assert cut.endswith("boot with laces")
