"""`producer report --compare`: files of several machines beside this one's rows."""

import json
from pathlib import Path

import pytest
from installation import Installation

from producer.actions.reports.bench_results import BenchFile, read_bench_file

EXAMPLE = Path(__file__).parents[2] / "examples" / "published-figures.json"
RESULT = {
    "source": "a test",
    "device_name": "Big GPU",
    "device": "cuda",
    "checkpoint": "demo",
    "width": 500,
    "height": 400,
    "steps": 10,
    "mean_s": 0.5,
    "rss_peak_bytes": 3_000_000_000,
}


def written(folder: Path, *results: dict[str, object]) -> Path:
    file = folder / "result.json"
    file.write_text(json.dumps({"version": 1, "results": results}))
    return file


def compared(nightshift: Installation, *files: Path) -> list[str]:
    done = nightshift.producer("report", "--compare", *map(str, files))
    assert done.returncode == 0, done.stderr
    return [" ".join(line.split()) for line in done.stdout.splitlines()]


def test_each_file_is_a_line_and_what_it_does_not_know_was_not_measured(nightshift: Installation, tmp_path):
    # 500 x 400 pixels, 10 steps: 2 megapixel steps in half a second.
    shown = compared(nightshift, written(tmp_path, RESULT), EXAMPLE)
    row = next(line for line in shown if line.startswith("Big GPU"))
    assert "0.500 s" in row
    assert " 4 " in row
    assert "3.00 GB" in row
    assert any(line.startswith("Apple M2 Max (mps)") and "8.90 s" in line for line in shown)
    assert any(line.startswith("NVIDIA GeForce RTX") and "3.00 s to 4.00 s" in line for line in shown)
    assert shown[-3].startswith("1: a test")
    assert shown[-2].startswith("2: a person's notes")


def test_this_machine_stands_first(nightshift: Installation, tmp_path):
    nightshift.enqueue("--prompt", "a shoe", "--count", "3")
    worker = nightshift.wait_until_ready(nightshift.start_worker())
    nightshift.wait_until_finished()
    worker.stop()
    shown = compared(nightshift, written(tmp_path, RESULT))
    own, other = (next(n for n, line in enumerate(shown) if f"({device})" in line) for device in ("cpu", "cuda"))
    assert own < other
    assert "1: this machine, its newest pictures" in shown


def test_megapixel_steps_of_a_range_are_a_range(tmp_path):
    (result,) = read_bench_file(written(tmp_path, RESULT | {"mean_s": [0.5, 1.0]}))
    assert result.megapixel_steps_per_s == (2.0, 4.0)
    (unknown,) = read_bench_file(written(tmp_path, RESULT | {"mean_s": None}))
    assert unknown.megapixel_steps_per_s is None


def test_a_file_that_is_written_reads_the_same(tmp_path):
    results = read_bench_file(EXAMPLE)
    again = tmp_path / "again.json"
    again.write_text(BenchFile(results=results).model_dump_json())
    assert read_bench_file(again) == results
    assert "megapixel_steps_per_s" in json.loads(again.read_text())["results"][0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no file of `producer bench`: Invalid JSON"),
        ('{"version": 2, "results": []}', "is no file of `producer bench`: version: Input should be 1"),
        ('{"version": 1, "results": []}', "results: List should have at least 1 item"),
        (
            json.dumps({"version": 1, "results": [RESULT | {"width": 0}]}),
            "results.0.width: Input should be greater than 0",
        ),
        (json.dumps({"version": 1, "results": [RESULT | {"mean_s": -1}]}), "results.0.mean_s"),
    ],
)
def test_what_is_no_such_file_is_one_line(nightshift: Installation, tmp_path, content, said):
    file = tmp_path / "result.json"
    file.write_text(content)
    done = nightshift.producer("report", "--compare", str(file))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"producer: {file} ")
    assert said in done.stderr


def test_a_file_that_is_not_there(nightshift: Installation, tmp_path):
    done = nightshift.producer("report", "--compare", str(tmp_path / "none.json"))
    assert (done.returncode, done.stderr) == (
        2,
        f"producer: {tmp_path}/none.json cannot be read: No such file or directory\n",
    )


@pytest.mark.parametrize("arguments", [["--compare"], ["--compare", "--all", "a.json"], ["one", "two"]])
def test_wrong_use(nightshift: Installation, arguments):
    assert nightshift.producer("report", *arguments).returncode == 2
