"""A target of accepted pictures, from `run` to the report: rejected ones are kept aside and made again."""

import json
from collections import Counter

import pytest
from installation import Installation
from PIL import Image

from models.records.tables import Attempt, Verdict
from models.types.states import JobState

#: The same picture three times, of which one is accepted.
TWINS = ("--prompt", "a red boot", "--prompt", "a red boot", "--prompt", "a red boot", "--seed", 1)
ASKED = (*TWINS, "--checks", "duplicates", "--target", 3)


@pytest.fixture(scope="module")
def nightshift(installation):
    """A folder in which a target was reached by replacing duplicates."""
    with installation() as made:
        done = made.producer("run", *ASKED, "--batch", "boots")
        assert done.returncode == 0, done.stderr
        assert "boots: 3 jobs\n" in done.stdout
        assert "3 of 3 accepted, 2 rejected (duplicates 2), 2 replaced; " in done.stdout
        yield made


def test_the_batch_is_done_when_so_many_are_accepted(nightshift: Installation):
    jobs = nightshift.jobs("boots")
    assert Counter(job.state for job in jobs) == {JobState.SUCCEEDED: 3, JobState.REJECTED: 2}
    assert {job.prompt for job in jobs} == {"a red boot"}
    pixels = Counter()
    for job in jobs:
        with Image.open(nightshift.data_dir / job.picture) as picture:
            pixels[picture.tobytes(), job.state] += 1
    # The accepted ones differ from one another; what was rejected lies aside with its parameters.
    assert [count for (_, state), count in pixels.items() if state == JobState.SUCCEEDED] == [1, 1, 1]
    folder = nightshift.data_dir / "pictures" / "batch-0001"
    assert (len(list(folder.glob("*.png"))), len(list(folder.glob("rejected/*.png")))) == (3, 2)
    against = [row for row in nightshift.rows(Verdict) if not row.passed]
    # What stands in for two that had the same prompt and seed has two seeds.
    assert [row.sentence.split(":")[0] for row in against] == ["job 1 is nearly the same"] * 2


def test_the_same_command_finds_it_finished_and_other_checks_make_another(nightshift: Installation):
    again = nightshift.producer("run", *ASKED)
    assert (again.returncode, "boots asks for the same and is finished" in again.stdout) == (0, True)
    for other in ((*TWINS, "--checks", "duplicates"), (*ASKED, "--replacements", 2), TWINS):
        assert "asks for the same" not in nightshift.producer("enqueue", *other, "--dry-run").stdout
    assert "boots asks for the same already" in nightshift.producer("enqueue", *ASKED, "--dry-run").stdout


def test_status_watch_and_report_say_how_the_pictures_stand(nightshift: Installation):
    line = "3 of 3 accepted, 2 rejected (duplicates 2), 2 replaced; "
    assert f"boots: {line}" in nightshift.producer("status", "boots").stdout
    watched = nightshift.producer("watch", "boots")
    assert watched.returncode == 0
    assert "boots: 3 of 3; 0 failed, 2 rejected (duplicates 2), 2 replaced, " in watched.stderr
    report = nightshift.read_json("report", "boots")
    found = report["acceptance"]
    assert (found["accepted"], found["rejected"], found["rejected_by"]) == (3, 2, {"duplicates": 2})
    assert (found["replaced"], found["decided_by_person"], found["unreached"]) == (2, 0, [])
    attempts = nightshift.rows(Attempt)
    wall_s = max(row.finished_s for row in attempts) - min(row.started_s for row in attempts)
    assert found["accepted_per_hour"] == pytest.approx(3600 * 3 / wall_s)
    # So many accepted ones take five for three.
    estimated = report["estimates"][1]
    assert estimated["pictures"] == 100
    pace_s = report["speed"]["mean_s"] + report["speed"]["gap_mean_s"]
    assert estimated["seconds"] == pytest.approx(500 / 3 * pace_s, rel=0.2)
    assert report["speed"]["pictures"] == 5


def test_what_cannot_be_reached_is_said_with_its_reason_and_retry_finds_nothing_more(nightshift: Installation):
    asked = ("--prompt", "a blue boot", "--checks", "fill.least=0.74", "--target", 2, "--replacements", 1)
    done = nightshift.producer("run", *asked, "--batch", "short")
    assert done.returncode == 1
    assert "short: 2 jobs (the 1 that the prompts ask for, and again with other seeds)" in done.stdout
    assert "0 of 2 accepted, 4 rejected (fill 4), 2 replaced" in done.stdout
    assert done.stdout.count("not reached: 2 tries, the last is job ") == 2
    assert "fill: the subject fills" in done.stdout
    assert len(nightshift.read_json("status", "short")["unreached"]) == 2
    assert nightshift.producer("watch", "short").returncode == 1
    assert "no failed or quarantined jobs" in nightshift.producer("retry", "short").stdout
    # Other limits accept them as they are.
    judged = nightshift.producer("check", "short", "--checks", "fill")
    assert "short: 4 of 4 pictures accepted" in judged.stdout
    assert nightshift.producer("watch", "short").returncode == 0


def test_a_person_decides_otherwise(nightshift: Installation):
    with_rejected = nightshift.jobs("boots")
    good, bad = with_rejected[0].id, with_rejected[1].id
    assert nightshift.producer("accept", bad).stdout == "1 picture accepted\n"
    assert "4 of 3 accepted, 1 rejected (duplicates 1)" in nightshift.producer("status", "boots").stdout
    wrong = nightshift.producer("reject", good, 999)
    assert (wrong.returncode, wrong.stderr) == (2, "producer: there is no job 999\n")
    # Nobody listens, so what stands in for it waits in the database.
    offline = nightshift.producer("reject", good, NIGHTSHIFT_BROKER_URL="redis://127.0.0.1:1/0")
    assert offline.returncode == 1
    assert offline.stdout == "1 picture rejected; another one is queued instead\n"
    assert "Nothing is lost" in offline.stderr
    *_, queued = nightshift.jobs("boots")
    assert (queued.state, queued.replaces) == (JobState.QUEUED, good)
    assert nightshift.producer("accept", good).returncode == 0
    assert nightshift.jobs("boots")[-1].state == JobState.CANCELLED
    assert {row.check: row.passed for row in nightshift.rows(Verdict) if row.job_id == bad} == {"duplicates": False}


def test_without_a_target_what_is_rejected_is_not_made_again(nightshift: Installation):
    done = nightshift.producer("run", *TWINS, "--checks", "duplicates", "--batch", "once")
    assert done.returncode == 0, done.stderr
    assert "1 of 3 accepted, 2 rejected (duplicates 2); " in done.stdout
    assert json.loads(nightshift.producer("status", "once", "--json").stdout)["counts"]["rejected"] == 2
