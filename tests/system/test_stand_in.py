"""A worker process with a device of the test's own: what one backend is asked for is all that a worker needs."""

from faults import faulty

from models.records.tables import Attempt, Boot


def test_a_worker_works_with_a_device_that_only_its_module_knows(installation):
    with faulty(installation, NIGHTSHIFT_DEVICE="mps", STAND_IN="222") as (nightshift, _):
        nightshift.enqueue("--prompt", "a red boot")
        worker = nightshift.start_worker()
        (job,) = nightshift.wait_until_finished()
        (boot,), (attempt,) = nightshift.rows(Boot), nightshift.rows(Attempt)
        assert (job.state, boot.device, boot.device_name, boot.dtype) == ("succeeded", "mps", "stand-in GPU", "float32")
        assert boot.memory_sources["device_driver"] == "its driver's"
        assert (attempt.device_allocated_peak_bytes, attempt.device_driver_peak_bytes) == (111, 222)
        assert "ready for jobs on mps (stand-in GPU)" in worker.log
