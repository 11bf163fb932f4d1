"""A worker that was frozen past its limit while another one took its training."""

import signal

import pytest
from freezing import freeze_at
from small_trainings import data_set, digest, segments, train, training, wait_until_over


@pytest.fixture
def beside(nightshift, elsewhere, tmp_path):
    """Return what makes a worker one of another device, which has its own lock: the rest of the folder is the same."""
    for folder in ("loras", "trainings"):
        (nightshift.data_dir / folder).mkdir()
        (tmp_path / folder).symlink_to(nightshift.data_dir / folder)
    return elsewhere


@pytest.mark.parametrize("place", ["training", "lora-saving", "lora-saved", "segment-written"])
def test_the_late_one_settles_nothing_and_changes_no_file(nightshift, faults, beside, tmp_path_factory, place):
    pictures = data_set(tmp_path_factory.mktemp("data"), held_out=2)
    late = freeze_at(nightshift, faults, place, lambda: train(nightshift, "olive", pictures))
    other = nightshift.start_worker(**beside)
    assert wait_until_over(nightshift, "olive").state == "succeeded"
    assert "training olive: its worker gave no sign of life for 1 s; put back" in other.log
    learnt = digest(nightshift, "olive", 12)
    files = kept(nightshift)

    late.send(signal.SIGCONT)
    nightshift.wait_until(
        lambda: "training olive: not settled, it is no longer this segment's" in late.log, "the late one to notice"
    )
    assert [one.outcome for one in segments(nightshift, "olive")].count("lost") == 1
    assert training(nightshift, "olive").segments == 5
    assert late.stop() == 0
    assert other.stop() == 0
    assert kept(nightshift) == files
    # What came of it is what a training that nothing befell comes to.
    nightshift.start_worker()
    train(nightshift, "undisturbed", pictures)
    wait_until_over(nightshift, "undisturbed")
    assert digest(nightshift, "undisturbed", 12) == learnt


def kept(nightshift):
    """Return what lies of the training, and when it was written."""
    folders = [nightshift.data_dir / folder / "olive" for folder in ("loras", "trainings")]
    return {file: file.stat().st_mtime_ns for folder in folders for file in folder.rglob("*") if file.is_file()}
