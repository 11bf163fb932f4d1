"""Trainings and what befalls them: nothing is learnt twice, nothing is lost but a segment, and each end says why."""

import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from disks import mounted, root
from faults import end_worker, faulty, worker_or_new_one
from small_trainings import data_set, digest, segments, train, training, wait_until_over

from models.records.tables import Boot, Training
from models.types.exit_status import ExitStatus

#: Where a worker is killed, and whether that costs a segment.
PLACES = {
    "segment-begun": True,
    "training": True,
    "lora-saving": True,
    "lora-saved": True,
    "segment-written": True,
    "segment-settling": True,
    "segment-settled": True,
}


@pytest.fixture(scope="module")
def both(installation):
    with faulty(installation, NIGHTSHIFT_QUARANTINE_AFTER="10") as made:
        yield made


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return data_set(tmp_path_factory.mktemp("data"), held_out=2)


@pytest.fixture
def name(request, nightshift):
    """Return a name that no training of the test's worker has."""
    return f"t{len(nightshift.rows(Training))}"


@pytest.fixture(scope="module")
def undisturbed(both, pictures):
    """Return the weights of a training that nothing befell."""
    nightshift, _ = both
    train(nightshift, "undisturbed", pictures)
    worker_or_new_one(nightshift)
    assert wait_until_over(nightshift, "undisturbed").state == "succeeded"
    return digest(nightshift, "undisturbed", 12)


@pytest.mark.parametrize("place", PLACES)
def test_a_worker_killed_there_costs_a_segment_and_the_weights_are_the_same(
    nightshift, faults, pictures, undisturbed, name, place
):
    faults.hold(place)
    train(nightshift, name, pictures)
    worker = worker_or_new_one(nightshift)
    faults.wait_until_held(place)
    worker.kill()
    faults.release(place)
    nightshift.start_worker()
    assert wait_until_over(nightshift, name).state == "succeeded"
    assert digest(nightshift, name, 12) == undisturbed
    ends = [segment.outcome for segment in segments(nightshift, name)]
    assert ends == ["lost"] * PLACES[place] + ["succeeded"] * 4
    states = list((nightshift.data_dir / "trainings" / name).glob("state-*"))
    assert [state.name for state in states] == [training(nightshift, name).state_file]


@pytest.mark.smoke
def test_a_worker_killed_again_and_again_comes_to_the_same_weights(nightshift, faults, pictures, undisturbed, name):
    train(nightshift, name, pictures)
    for place in ("training", "segment-written", "segment-settled", "training"):
        faults.hold(place)
        worker = worker_or_new_one(nightshift)
        faults.wait_until_held(place)
        worker.kill()
        faults.release(place)
    nightshift.start_worker()
    assert wait_until_over(nightshift, name).state == "succeeded"
    assert digest(nightshift, name, 12) == undisturbed


def test_an_error_while_an_end_is_recorded_costs_a_segment_and_not_what_was_learnt_before(
    nightshift, faults, pictures, undisturbed, name
):
    faults.hold("segment-settling")
    train(nightshift, name, pictures)
    worker_or_new_one(nightshift)
    faults.wait_until_held("segment-settling")
    # Of the next segment, whose end is that of an error then.
    faults.at("segment-settling", "raise RuntimeError nobody foresaw it")
    faults.release("segment-settling")
    assert wait_until_over(nightshift, name).state == "succeeded"
    ends = [(segment.outcome, segment.cause) for segment in segments(nightshift, name)]
    assert ends == [("succeeded", None), ("failed", "driver"), *[("succeeded", None)] * 3]
    assert digest(nightshift, name, 12) == undisturbed
    states = list((nightshift.data_dir / "trainings" / name).glob("state-*"))
    assert [state.name for state in states] == [training(nightshift, name).state_file]


@pytest.mark.smoke
def test_a_loss_that_is_not_finite_is_had_again_with_half_the_rate(nightshift, faults, pictures, name):
    faults.at("loss", "twice spoil")
    train(nightshift, name, pictures)
    worker_or_new_one(nightshift)
    over = wait_until_over(nightshift, name)
    assert (over.state, over.rate_share) == ("succeeded", 0.25)
    first, second, third, *_ = segments(nightshift, name)
    assert [first.cause, second.cause, third.cause] == ["not_finite", "not_finite", None]
    assert "the loss of step 1 is nan" in first.error
    assert third.learning_rate == pytest.approx(1e-3 / 4)
    shown = nightshift.producer("status", name).stdout
    assert f"{name}: a loss was not finite, and the rates are 0.25 of what was asked" in shown


def test_a_loss_that_is_never_finite_ends_the_training_with_the_reason(nightshift, faults, pictures, name):
    faults.at("loss", "always spoil")
    train(nightshift, name, pictures)
    worker = worker_or_new_one(nightshift)
    over = wait_until_over(nightshift, name)
    faults.forget("loss")
    assert (over.state, over.cause, over.step) == ("failed", "not_finite", 0)
    assert worker.status is None
    # It goes on once a person has mended what there was.
    done = nightshift.producer("retry", name)
    assert done.stdout == f"training {name}: queued, and goes on from step 0\n"
    assert wait_until_over(nightshift, name).state == "succeeded"
    done = nightshift.producer("retry", name)
    assert (done.returncode, done.stdout) == (0, f"training {name}: nothing to retry: it is succeeded\n")


def test_memory_that_runs_out_is_saved_once_and_waited_for_then(nightshift, faults, pictures, name):
    faults.at("loss", "raise MemoryError out of memory")
    train(nightshift, name, pictures)
    worker_or_new_one(nightshift)
    over = wait_until_over(nightshift, name)
    assert (over.state, over.saves_memory) == ("succeeded", True)
    assert [segment.cause for segment in segments(nightshift, name)] == ["out_of_memory", None, None, None, None]


@root
@pytest.mark.parametrize("kind", ["trainings", "loras"])
def test_a_full_disk_is_waited_for(nightshift, faults, pictures, undisturbed, name, kind):
    folder = nightshift.data_dir / kind / name
    folder.mkdir(parents=True)
    with mounted(folder, "-t", "tmpfs", "-o", "size=4096", "tmpfs"):
        train(nightshift, name, pictures)
        worker_or_new_one(nightshift)
        nightshift.wait_until(lambda: nightshift.rows(Boot)[-1].waiting_for, "the worker to wait for room")
        assert "No space left on device): free some space" in nightshift.rows(Boot)[-1].waiting_for
        subprocess.run(["mount", "-o", "remount,size=99m", str(folder)], check=True)
        assert wait_until_over(nightshift, name).state == "succeeded"
        assert digest(nightshift, name, 12) == undisturbed
    assert [segment.outcome for segment in segments(nightshift, name)] == ["succeeded"] * 4


def test_pictures_that_are_gone_end_it_with_their_names(nightshift, faults, tmp_path, name):
    data = data_set(tmp_path / "gone")
    faults.hold("segment-begun")
    train(nightshift, name, data)
    worker_or_new_one(nightshift)
    faults.wait_until_held("segment-begun")
    (data / "train" / "3.png").write_bytes(b"no picture")
    faults.release("segment-begun")
    over = wait_until_over(nightshift, name)
    assert (over.state, over.cause) == ("failed", "training")
    assert str(data / "train" / "3.png") in over.error


@contextmanager
def between_two_segments(nightshift, name, pictures, *flags):
    """Do what is in the block while a training waits, a part of it done, and have a new worker go on with it."""
    train(nightshift, name, pictures, *flags)
    worker_or_new_one(nightshift)
    nightshift.wait_until(lambda: training(nightshift, name).step >= 3, "a segment to be done")
    assert nightshift.producer("pause").returncode == 0
    nightshift.wait_until(lambda: training(nightshift, name).state == "queued", "the segment to end")
    end_worker(nightshift)
    yield training(nightshift, name)
    assert nightshift.producer("resume").returncode == 0
    nightshift.start_worker()


def spoil(file):
    """Change a bit in the middle of a file, and return what it held."""
    kept = file.read_bytes()
    middle = len(kept) // 2
    file.write_bytes(kept[:middle] + bytes([kept[middle] ^ 1]) + kept[middle + 1 :])
    return kept


def assert_it_waits_for_a_file(nightshift, known, said):
    over = wait_until_over(nightshift, known.name)
    assert (over.state, over.cause, over.step) == ("failed", "training", known.step)
    assert said in over.error


def assert_it_goes_on(nightshift, name, undisturbed):
    nightshift.producer("retry", name)
    assert wait_until_over(nightshift, name).state == "succeeded"
    assert digest(nightshift, name, 12) == undisturbed


@pytest.mark.parametrize("lose", [Path.unlink, spoil], ids=["gone", "spoilt"])
def test_a_state_that_is_lost_ends_it_with_its_name_and_one_that_is_back_goes_on(
    nightshift, pictures, undisturbed, name, lose
):
    with between_two_segments(nightshift, name, pictures) as known:
        state = nightshift.data_dir / "trainings" / name / known.state_file
        kept = state.read_bytes()
        lose(state)
    assert_it_waits_for_a_file(nightshift, known, f"its state {state} is gone, or not as it was written: bring it back")
    state.write_bytes(kept)
    assert_it_goes_on(nightshift, name, undisturbed)


@pytest.mark.parametrize("file", ["pictures.bin", "held-out.bin"])
def test_encoded_pictures_that_a_disk_has_spoilt_are_encoded_once_more(nightshift, pictures, undisturbed, name, file):
    with between_two_segments(nightshift, name, pictures):
        spoilt = nightshift.data_dir / "trainings" / name / file
        kept = spoil(spoilt)
    assert wait_until_over(nightshift, name).state == "succeeded"
    assert f"training {name}: its encoded pictures are not as they were written" in nightshift.workers[-1].log
    assert spoilt.read_bytes() == kept
    assert digest(nightshift, name, 12) == undisturbed


def test_other_weights_than_it_began_with_end_it_and_those_that_are_back_go_on(nightshift, pictures, undisturbed, name):
    checkpoint = shutil.copytree(
        nightshift.environment["NIGHTSHIFT_CHECKPOINT"], nightshift.folder / f"{name}-checkpoint"
    )
    weights = checkpoint / "unet" / "diffusion_pytorch_model.safetensors"
    with between_two_segments(nightshift, name, pictures, "--model-id", checkpoint) as known:
        kept = spoil(weights)
    assert_it_waits_for_a_file(
        nightshift, known, f"checkpoint {checkpoint} has other weights than those it began with, sha256:"
    )
    weights.write_bytes(kept)
    assert_it_goes_on(nightshift, name, undisturbed)


def test_a_training_is_cancelled_at_its_next_step_and_goes_on_from_its_last_state(
    nightshift, faults, pictures, undisturbed, name
):
    train(nightshift, name, pictures)
    worker = worker_or_new_one(nightshift)
    nightshift.wait_until(lambda: training(nightshift, name).step >= 3, "a segment to be done")
    faults.hold("training")
    faults.wait_until_held("training")
    assert nightshift.producer("cancel", name).returncode == 0
    faults.at("training", "always slow")
    faults.release("training")
    over = wait_until_over(nightshift, name)
    faults.forget("training")
    assert (over.state, over.cause) == ("cancelled", "cancelled")
    assert 3 <= over.step < 12
    # A person asked for it.
    (told,) = [line for line in worker.lines if f"training {name} cancelled" in line]
    assert "ERROR" not in told
    nightshift.producer("retry", name, "--cancelled")
    assert wait_until_over(nightshift, name).state == "succeeded"
    assert digest(nightshift, name, 12) == undisturbed


def test_a_worker_that_is_told_to_end_keeps_each_step_that_was_taken(nightshift, faults, pictures, undisturbed, name):
    faults.hold("training")
    train(nightshift, name, pictures, segment_steps=12)
    worker = worker_or_new_one(nightshift)
    faults.wait_until_held("training")
    faults.at("training", "always slow")
    faults.release("training")
    nightshift.wait_until(lambda: training(nightshift, name).state == "running", "it to run")
    assert worker.stop() == 0
    faults.forget("training")
    ended = training(nightshift, name)
    assert ended.state == "queued"
    assert ended.state_file or not ended.step
    nightshift.start_worker()
    assert wait_until_over(nightshift, name).state == "succeeded"
    assert {segment.outcome for segment in segments(nightshift, name)} == {"succeeded"}
    assert digest(nightshift, name, 12) == undisturbed


def test_a_worker_that_is_told_to_end_before_a_step_saves_no_lora_and_asks_for_no_pictures(
    nightshift, faults, pictures, name
):
    faults.hold("segment-begun")
    train(nightshift, name, pictures, "--validation-prompt", "a boot", "--num-validation-images", 1)
    worker = worker_or_new_one(nightshift)
    faults.wait_until_held("segment-begun")
    worker.send(signal.SIGTERM)
    nightshift.wait_until(lambda: "SIGTERM: finishes" in worker.log, "the worker to be told")
    faults.release("segment-begun")
    assert worker.wait() == 0
    (ended,) = segments(nightshift, name)
    assert (ended.outcome, ended.ended_step, ended.lora) == ("succeeded", 0, None)
    assert len(nightshift.jobs(f"{name}-validation")) == 1
    nightshift.start_worker()
    assert wait_until_over(nightshift, name).state == "succeeded"
    variants = [job.attributes["lora"] for job in nightshift.jobs(f"{name}-validation")]
    assert variants == ["none", f"{name}/{name}-000006", f"{name}/{name}-000012"]


def test_a_device_that_hangs_in_a_step_costs_the_segment_and_the_worker_says_so(
    nightshift, faults, pictures, undisturbed, name
):
    end_worker(nightshift)
    faults.at("training", "hang")
    train(nightshift, name, pictures)
    worker = nightshift.start_worker(NIGHTSHIFT_HANG_S="4")
    assert worker.wait() == ExitStatus.HUNG
    assert f"training {name}: no step for" in worker.log
    hung, *_ = segments(nightshift, name)
    assert (hung.outcome, hung.cause) == ("lost", "hung")
    assert training(nightshift, name).state == "queued"
    nightshift.start_worker()
    assert wait_until_over(nightshift, name).state == "succeeded"
    assert digest(nightshift, name, 12) == undisturbed


def test_a_step_that_takes_long_is_no_hang_as_long_as_its_batches_end(nightshift, faults, pictures, name):
    end_worker(nightshift)
    # Twice as long as a device may say nothing.
    faults.at("loss", "always slow")
    train(nightshift, name, pictures, max_train_steps=1, gradient_accumulation_steps=60)
    worker = nightshift.start_worker(NIGHTSHIFT_HANG_S="3")
    over = wait_until_over(nightshift, name)
    faults.forget("loss")
    assert (over.state, worker.status) == ("succeeded", None)
    (segment,) = segments(nightshift, name)
    assert segment.outcome == "succeeded"
    end_worker(nightshift)


def test_errors_of_the_driver_are_had_again_and_one_too_many_ends_the_worker(
    nightshift, faults, pictures, undisturbed, name
):
    end_worker(nightshift)
    faults.at("training", "always raise RuntimeError the driver errs")
    train(nightshift, name, pictures)
    worker = nightshift.start_worker(NIGHTSHIFT_FAULTS_IN_A_ROW="2")
    assert worker.wait() == ExitStatus.FAULTY
    faults.forget("training")
    first, second = segments(nightshift, name)
    assert [(one.outcome, one.cause) for one in (first, second)] == [("failed", "driver"), ("lost", "driver")]
    nightshift.start_worker()
    assert wait_until_over(nightshift, name).state == "succeeded"
    assert digest(nightshift, name, 12) == undisturbed
