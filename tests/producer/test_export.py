"""Data sets: what the programs read that they are for, the same bytes each time, and never over something else."""

import gc
import hashlib
import json
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import webdataset
from installation import Installation
from made_rows import Made, write_batch
from PIL import Image
from programs import PATIENCE_S
from sd_parsers import ParserManager

from models.records.tables import Batch, Job
from producer.exports.captions import Caption
from producer.exports.folder import ExportFolder
from producer.exports.sample import prompts_for_testing
from training.drawing import draw_shoe

TEMPLATE = "${colour=!{red|blue|green}}a photo of ${colour} ${kind=!{boots|loafers}}${kind} on white background"
CAPTION = "sks, {prompt}, {colour}"


@pytest.fixture(scope="module")
def nightshift(installation):
    """Six pictures of two attributes, of which the last is rejected, and two of another batch."""
    with installation() as made:
        asked = ("--prompt", TEMPLATE, "--template", "combinatorial", "--batch", "shoes", "--seed", 1)
        for arguments in (asked, ("--prompt", "größe <b>你好</b>", "--count", 2, "--batch", "other")):
            done = made.producer("run", *arguments)
            assert done.returncode == 0, done.stderr
        assert made.producer("reject", 6).returncode == 0
        yield made


def export(nightshift: Installation, *arguments: object) -> str:
    done = nightshift.producer("export", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def content(folder: Path) -> dict[str, str]:
    """Return the digest of every file."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def accepted(nightshift: Installation, batch: str = "shoes") -> dict[int, Job]:
    return {job.id: job for job in nightshift.jobs(batch) if job.state == "succeeded"}


@pytest.mark.slow
def test_datasets_loads_an_imagefolder(nightshift: Installation, tmp_path):
    # Here, since it takes seconds to import, and `make test` leaves this one out.
    from datasets import load_dataset

    folder = tmp_path / "set"
    said = export(nightshift, "shoes", folder, "--caption", CAPTION, "--test", 0.3)
    assert said == f"{folder}: 3 pictures for training, 2 for testing\n"
    loaded = load_dataset("imagefolder", data_dir=str(folder), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in loaded.items()} == {"train": 3, "test": 2}
    jobs = accepted(nightshift)
    seen = {}
    for split in loaded.values():
        for row in split:
            job = jobs[row["job"]]
            seen[job.id] = row
            assert row["text"] == f"sks, {job.prompt}, {job.attributes['colour']}"
            assert (row["seed"], row["steps"], row["attribute_kind"]) == (job.seed, job.steps, job.attributes["kind"])
            with Image.open(nightshift.data_dir / job.picture) as picture:
                assert row["image"].tobytes() == picture.convert("RGB").tobytes()
                # The parameters that A1111 reads are still in it.
                assert picture.info["parameters"].startswith(job.prompt)
    assert set(seen) == set(jobs)
    names = [path.stat().st_nlink for path in folder.rglob("*.png")]
    assert names == [2] * 5


def test_the_card_says_what_it_is_and_no_prompt_is_markup(nightshift: Installation, tmp_path):
    folder = tmp_path / "set"
    export(nightshift, "shoes", "other", folder)
    card = (folder / "README.md").read_text()
    assert card.startswith("---\n")
    for text in (
        "# set",
        "7 pictures made by Nightshift: 7 for train",
        'load_dataset("imagefolder"',
        "demo, revision sha256:",
        "Licence: Apache-2.0",
        "- shoes: not judged",
        "größe \\<b\\>你好\\</b\\> (",
    ):
        assert text in card
    seeds = [str(job.seed) for job in nightshift.jobs("other")]
    assert f"({', '.join(seeds)})" in card


def test_kohya_finds_repeats_name_and_a_caption_beside_each_picture(nightshift: Installation, tmp_path):
    folder = tmp_path / "set"
    export(nightshift, "shoes", folder, "--format", "kohya", "--caption", CAPTION, "--repeats", 4, "--name", "sks shoe")
    # sd-scripts takes each folder below the training folder whose name begins with a number and `_`.
    (own,) = (folder / "train").iterdir()
    repeats, _, concept = own.name.partition("_")
    assert (int(repeats), concept) == (4, "sks shoe")
    pictures = sorted(own.glob("*.png"))
    assert [path.with_suffix(".txt").exists() for path in pictures] == [True] * 5
    first = accepted(nightshift)[1]
    assert pictures[0].with_suffix(".txt").read_text() == f"sks, {first.prompt}, {first.attributes['colour']}\n"
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    assert [row["key"] for row in rows] == [path.stem for path in pictures]


# It leaves closing its file to the collector, which is asked to here.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_webdataset_reads_its_tar_files(nightshift: Installation, tmp_path):
    folder = tmp_path / "set"
    export(nightshift, "shoes", folder, "--format", "webdataset", "--all")
    samples = list(webdataset.WebDataset(str(folder / "train-000000.tar"), shardshuffle=False).decode("pil"))
    gc.collect()
    assert len(samples) == 6
    for sample in samples:
        job = next(job for job in nightshift.jobs("shoes") if sample["__key__"].endswith(f"{job.id:08d}"))
        assert sample["txt"] == job.prompt
        assert (sample["json"]["seed"], sample["json"]["accepted"]) == (job.seed, job.state == "succeeded")
        assert sample["png"].size == (job.width, job.height)


def test_a_reader_of_others_finds_the_parameters_in_each_picture(nightshift: Installation, tmp_path):
    for name, more in (("as-made", ()), ("resized", ("--size", "64x64"))):
        export(nightshift, "shoes", "other", tmp_path / name, *more)
        jobs = accepted(nightshift) | accepted(nightshift, "other")
        for file in (tmp_path / name).rglob("*.png"):
            job = jobs[int(file.stem[-8:])]
            found = ParserManager().parse(file)
            [sampler] = found.samplers
            assert [prompt.value for prompt in sampler.prompts] == [job.prompt]
            assert (sampler.name, sampler.model.name) == (job.scheduler, "demo")
            said = {"seed": str(job.seed), "steps": str(job.steps), "cfg_scale": f"{job.guidance:g}"}
            said["scheduler"] = "Uniform"
            assert sampler.parameters == said
            assert found.metadata["Size"] == f"{job.width}x{job.height}"


@pytest.mark.parametrize(("fit", "corner"), [("pad", (255, 255, 255)), ("crop", (200, 30, 30))])
def test_pictures_are_brought_to_a_size(installation, tmp_path, fit, corner):
    with installation() as made:
        write_batch(made, "red", [Made(rgb=(200, 30, 30))])
        export(made, "red", tmp_path / "set", "--size", "96x32", "--fit", fit)
        [file] = (tmp_path / "set").rglob("*.png")
        with Image.open(file) as picture:
            assert picture.size == (96, 32)
            assert picture.getpixel((0, 0)) == corner
            assert picture.getpixel((48, 16)) == (200, 30, 30)
        assert f"Each picture was brought to 96x32, {fit}." in (tmp_path / "set" / "README.md").read_text()
        other = made.producer("export", "red", tmp_path / "set", "--size", "96x64")
        assert "holds another export" in other.stderr


def test_near_duplicates_are_left_out_over_all_batches(installation, tmp_path):
    drawn = [draw_shoe("boot", colour, np.random.default_rng(1)) for colour in ("red", "blue", "green")]
    with installation() as made:
        for name in ("one", "two"):
            numbers = write_batch(made, name, [Made(seed=seed) for seed in range(3)])
            for number, picture in zip(numbers, drawn, strict=True):
                file = made.data_dir / "pictures" / f"batch-{1 + (number > 3):04d}" / f"job-{number:08d}.png"
                picture.save(file, compress_level=9 if name == "two" else 1)
        said = export(made, "one", "two", tmp_path / "set", "--distinct")
        assert said.endswith("3 pictures for training; 3 near duplicates were left out\n")
        assert {file.stem[:3] for file in (tmp_path / "set").rglob("*.png")} == {"one"}
        assert "3 pictures that are nearly the same" in (tmp_path / "set" / "README.md").read_text()
        assert export(made, "one", "two", tmp_path / "all").endswith("6 pictures for training\n")
        # What was left out of the one is in the other.
        assert [row["exported"] for row in made.read_json("gc")["batches"]] == [True, True]


@pytest.mark.parametrize("layout", ["imagefolder", "kohya", "webdataset"])
def test_the_same_command_gives_the_same_bytes_and_finds_its_own(nightshift: Installation, tmp_path, layout):
    first, second = tmp_path / "one" / "set", tmp_path / "two" / "set"
    for folder in (first, second):
        folder.parent.mkdir()
        export(nightshift, "shoes", folder, "--format", layout, "--test", 0.3)
    assert content(first) == content(second)
    before = content(first)
    assert "holds this very export already: 5 pictures" in export(
        nightshift, "shoes", first, "--format", layout, "--test", 0.3
    )
    assert content(first) == before


def test_killed_at_any_moment_the_same_command_ends_with_the_same_bytes(nightshift: Installation, tmp_path):
    whole, cut = tmp_path / "whole" / "set", tmp_path / "cut" / "set"
    export(nightshift, "shoes", whole)
    cut.parent.mkdir()
    rng = random.Random(1)
    begun = time.monotonic()
    export(nightshift, "other", tmp_path / "timed")
    usual = time.monotonic() - begun
    for _ in range(6):
        process = nightshift.start_producer_anew("export", "shoes", cut)
        # Wherever that is: before, in the middle, or after.
        deadline = time.monotonic() + rng.uniform(0.6, 1.1) * usual
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=PATIENCE_S)
        assert not cut.exists() or content(cut) == content(whole)
    export(nightshift, "shoes", cut)
    assert content(cut) == content(whole)
    assert [path.name for path in cut.parent.iterdir()] == ["set"]


def test_what_is_unfinished_is_gone_on_with_and_anothers_is_not(nightshift: Installation, tmp_path):
    target = tmp_path / "set"
    unfinished = tmp_path / ".set.unfinished"
    export(nightshift, "shoes", target)
    target.rename(unfinished)
    kept = next(unfinished.rglob("*.png"))
    (unfinished / "README.md").unlink()
    next(path for path in unfinished.rglob("*.png") if path != kept).unlink()
    number = kept.stat().st_ino
    export(nightshift, "shoes", target)
    assert len(list(target.rglob("*.png"))) == 5
    assert (target / kept.relative_to(unfinished)).stat().st_ino == number
    target.rename(unfinished)
    export(nightshift, "other", target)
    assert len(list(target.rglob("*.png"))) == 2


def test_two_at_once_do_not_mix(nightshift: Installation, tmp_path):
    target = tmp_path / "set"
    with ExportFolder(target, {}).alone(nightshift.data_dir):
        refused = nightshift.producer("export", "shoes", target)
        assert (refused.returncode, target.exists()) == (2, False)
        assert refused.stderr == f"producer: {target}: another `producer export` is writing there; wait for it\n"
        # By another way to the same place, too; and another place is free.
        (tmp_path / "link").symlink_to(tmp_path)
        assert nightshift.producer("export", "shoes", tmp_path / "link" / "set").returncode == 2
        assert nightshift.producer("export", "shoes", tmp_path / "other").returncode == 0
    assert nightshift.producer("export", "shoes", target).returncode == 0


def test_a_folder_that_holds_something_else_is_left_alone(nightshift: Installation, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    export(nightshift, "shoes", mine)
    before = content(mine)
    for arguments, what in ((("other", mine), "another export"), (("shoes", mine, "--all"), "another export")):
        done = nightshift.producer("export", *arguments)
        assert (done.returncode, done.stderr.strip()) == (
            2,
            f"producer: {mine} holds {what}; name a folder that is not there yet",
        )
    assert content(mine) == before
    other = tmp_path / "photos"
    other.mkdir()
    (other / "cat.jpg").write_text("mine")
    assert "holds something else" in nightshift.producer("export", "shoes", other).stderr
    assert content(other) == {"cat.jpg": hashlib.sha256(b"mine").hexdigest()}
    assert "is a file" in nightshift.producer("export", "shoes", other / "cat.jpg").stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nope", "there"), "producer: there is no batch 'nope'"),
        (("shoes",), "Error: Missing argument"),
        (
            ("shoes", "there", "--caption", "{season}"),
            "--caption: job 1 of shoes: no attribute is called 'season'; there are",
        ),
        (("shoes", "there", "--caption", "{prompt"), "producer: --caption: expected '}'"),
        (("shoes", "there", "--caption", "{}"), "producer: --caption: braces stand around names alone"),
        (("shoes", "there", "--name", "../x"), "producer: --name '../x'"),
        (("shoes", "there", "--size", "huge"), "producer: --size: 'huge' is no size; write WIDTHxHEIGHT"),
        (("shoes", "there", "--size", "8x512"), "producer: --size: '8x512' is no size"),
        (("shoes", "there", "--test", "1"), "Error: Invalid value for '--test'"),
    ],
)
def test_wrong_use_is_one_line_and_writes_nothing(nightshift: Installation, arguments, said):
    done = nightshift.producer("export", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(nightshift.folder.rglob("there*"))


def test_a_batch_without_accepted_pictures_and_a_missing_picture_are_named(nightshift: Installation, tmp_path):
    nightshift.enqueue("--prompt", "a boot", "--batch", "later")
    assert "no picture of these batches is accepted" in nightshift.producer("export", "later", tmp_path / "x").stderr
    picture = nightshift.data_dir / accepted(nightshift)[1].picture
    kept = picture.read_bytes()
    picture.unlink()
    try:
        done = nightshift.producer("export", "shoes", tmp_path / "x")
        assert (done.returncode, "producer: job 1: " in done.stderr) == (2, True)
    finally:
        picture.write_bytes(kept)


def test_the_limits_of_the_checks_stand_in_the_card(nightshift: Installation, tmp_path):
    assert nightshift.producer("check", "other", "--checks", "size,black").returncode == 0
    export(nightshift, "other", tmp_path / "set")
    assert "- other: size; black (brightest " in (tmp_path / "set" / "README.md").read_text()
    assert nightshift.rows(Batch)[1].checks is not None


def test_prompts_are_split_the_same_way_each_time():
    prompts = [f"shoe {number}" for number in range(20)]
    chosen = prompts_for_testing(prompts, 0.2)
    assert len(chosen) == 4
    assert chosen == prompts_for_testing(prompts[::-1], 0.2)
    assert prompts_for_testing(prompts, 0) == set()
    assert prompts_for_testing(["one"], 0.5) == set()
    assert len(prompts_for_testing(["one", "two"], 0.01)) == 1


def test_captions_are_one_line_and_braces_can_be_written():
    assert Caption("{{x}} {prompt}").of("a\n  boot", {}) == "{x} a boot"
    assert Caption("plain").of("a boot", {"prompt": "no"}) == "plain"
