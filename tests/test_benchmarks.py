"""The page of the benchmarks names each that there is, and `make bench` runs only those."""

import json
import os
import re
import sys
from pathlib import Path

import pytest
from forked import Files
from programs import run

from benchmarks.sides import queue
from benchmarks.simulation import Fleet, simulate

ROOT = Path(__file__).parents[1]
PROGRAMS = {file.stem for file in (ROOT / "benchmarks").glob("*.py") if "__main__" in file.read_text()}


def named(file: str) -> set[str]:
    return set(re.findall(r"python -m benchmarks\.(\w+)", (ROOT / file).read_text()))


def test_each_has_a_row():
    assert named("benchmarks/README.md") == PROGRAMS


def test_make_and_the_manual_name_those_that_there_are():
    assert named("Makefile") < PROGRAMS
    assert named("docs/figures.md") | named("docs/checks.md") | named("docs/prompts.md") < PROGRAMS
    assert named("worker/engine/processors.py") < PROGRAMS


def test_a_side_makes_the_same_pictures_turn_after_turn(tmp_path: Path):
    with queue(tmp_path / "side", worker=False) as side:
        for _ in range(2):
            side.enqueue(3)
        assert [batch["total"] for batch in json.loads(side.producer("status", "--json"))["batches"]] == [3, 3]


def test_a_simulated_fleet_makes_what_its_devices_can_and_no_more_than_its_record_takes():
    alone = simulate(Fleet(workers=1, picture_s=2.0, record_s=0.0), 1_000)
    assert alone.pictures_per_s == pytest.approx(0.5, rel=0.01)
    assert alone.lost == 0
    assert alone.busy == pytest.approx(1.0, abs=0.01)
    many = simulate(Fleet(workers=1_000, picture_s=2.0, record_s=0.01, cores=2), 20_000)
    assert many.pictures_per_s == pytest.approx(200, rel=0.05)


def test_a_simulated_machine_that_fails_loses_a_picture_a_failure():
    hours = 8.0
    calm, failing = (Fleet(10, 4.0, 0.0, fails_each_h=each, away_s=600.0) for each in (0.0, hours))
    pictures = 200_000
    found, undisturbed = simulate(failing, pictures), simulate(calm, pictures)
    failures = 10 * found.hours / hours
    assert found.lost == pytest.approx(failures, rel=0.4)
    # Each costs the time away and half of a picture.
    assert found.hours - undisturbed.hours == pytest.approx(failures * 602 / 3600 / 10, rel=0.5)


# Some twenty programs one after the other.
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_run_for_a_machine_with_a_card_does_all_its_parts_on_one_without(tmp_path: Path):
    """Small, and with the demo: so that it is ready where a card can be had for a quarter of an hour."""
    small = (
        "--checkpoint",
        "demo",
        "--size",
        "128",
        "--steps",
        "2",
        "--pictures",
        "4",
        "--rounds",
        "1",
        "--a-call",
        "2",
    )
    said = tmp_path / "said.txt"
    done = run(
        [sys.executable, "-m", "benchmarks.gpu", str(tmp_path), *small],
        {**os.environ, "NIGHTSHIFT_DEVICE": "cpu", "HF_HUB_OFFLINE": "1"},
        ROOT,
        Files(Path(os.devnull), said, said),
    )
    status = done.wait(900)
    parts = {part["name"]: part for part in json.loads((tmp_path / "results.json").read_text())}
    assert status == 0, said.read_text()
    assert {part["status"] for part in parts.values()} == {0}
    assert parts["killed twice"]["said"] == ["4 of 4 pictures"]
    assert parts["round 1"]["figures"]["producer run / plain loop"] > 0
    assert {
        "doctor",
        "demo, each judged",
        "tune",
        "fast",
        "plain loop, 2 a call",
        "bench",
    } <= parts.keys()
    assert (tmp_path / "demo.png").is_file()
    assert (tmp_path / "bench.json").is_file()
