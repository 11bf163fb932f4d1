"""A data set loads by the line of its own card, whatever batches and attributes it is made of."""

import gc
import random
import re

import pytest
from made_rows import Made, write_batch

from models.records.tables import Batch

NAMES = ("colour", "id", "split", "file_name", "file_names", "file_name_", "größe", "choice 1", "text", "job")
VALUES = ("red", "7", "07", "1.5", "true", "null", "", "2024-01-01", "2024-01-01T10:00:00Z", "{a}", "日本", 'a, b: "c"')
PROMPTS = ("a red shoe", "2024-01-01", "2023-12-31 10:00", "7", "true", "null", 'a "b" \\ c', "größe 日本")


def loaded_by_its_card(folder, cache, monkeypatch):
    """Run the code of the card, on the folder that it stands in."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(cache))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", cache)
    (code,) = re.findall(r"```\n(.*?)\n```", (folder / "README.md").read_text(), re.DOTALL)
    names = {}
    exec(code.replace("FOLDER", str(folder)), names)
    return names["dataset"]


@pytest.mark.parametrize("seed", range(12))
def test_every_mix_of_batches_loads_by_its_card(installation, tmp_path, monkeypatch, seed):
    rng = random.Random(seed)
    with installation() as made:
        expected = {}
        for number in range(rng.randint(1, 3)):
            names = rng.sample(NAMES, rng.randint(0, 4))
            pictures = [
                Made(
                    prompt=rng.choice(PROMPTS),
                    seed=place,
                    attributes={name: rng.choice(VALUES) for name in names if rng.random() < 0.8},
                )
                for place in range(rng.randint(1, 5))
            ]
            jobs = write_batch(made, f"mix v{number}.5".replace(" ", "-"), pictures)
            expected |= dict(zip(jobs, pictures, strict=True))
        batches = [batch.name for batch in made.rows(Batch)]
        folder = tmp_path / "set"
        done = made.producer("export", *batches, folder, "--test", rng.choice([0, 0.1, 0.5]))
        assert done.returncode == 0, done.stderr
        splits = loaded_by_its_card(folder, tmp_path / "cache", monkeypatch)
        rows = {row["job"]: row for split in splits.values() for row in split}
        assert set(rows) == set(expected)
        for job, picture in expected.items():
            assert rows[job]["text"].strip() == picture.prompt
            assert rows[job]["image"].size == (64, 64)
            kept = [rows[job][name] for name in rows[job] if name.startswith("attribute_")]
            assert {value.strip() for value in kept if value} == {v.strip() for v in picture.attributes.values() if v}


# webdataset leaves closing its file to the collector, which is asked to here.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("layout", ["imagefolder", "kohya", "webdataset"])
@pytest.mark.parametrize("name", ["shoes-v1.5", "a.b.c", "x.tar.gz", "v.2_1"])
def test_a_batch_with_dots_in_its_name_has_a_sample_for_each_picture(installation, tmp_path, monkeypatch, layout, name):
    with installation() as made:
        write_batch(made, name, [Made(seed=seed) for seed in range(3)])
        done = made.producer("export", name, tmp_path / "set", "--format", layout)
        assert "3 pictures for training" in done.stdout
        keys = {file.name.partition(".")[0] for file in (tmp_path / "set").rglob("*.png")}
        if layout == "webdataset":
            keys = {sample["__key__"] for sample in loaded_by_its_card(tmp_path / "set", tmp_path, monkeypatch)}
            gc.collect()
        assert len(keys) == 3


def test_pictures_that_cannot_be_read_back_end_the_export(installation, tmp_path, monkeypatch):
    """As those whose key was cut, so that all were one sample to the reader."""
    from click.testing import CliRunner

    from models.settings import load_settings
    from producer.cli import main
    from producer.exports import layouts

    with installation() as made:
        write_batch(made, "shoes", [Made(seed=seed) for seed in range(3)])
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        load_settings.cache_clear()
        add = layouts._add
        monkeypatch.setattr(layouts, "_add", lambda tar, name, content: add(tar, f"one.{name}", content))
        done = CliRunner().invoke(main, ["export", "shoes", str(tmp_path / "set"), "--format", "webdataset"])
        load_settings.cache_clear()
    assert done.exit_code == 1
    assert "0 of 3 pictures can be read back" in done.stderr
    assert not (tmp_path / "set").exists()
