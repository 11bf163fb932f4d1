"""`worker.standalone.device_check` with a device that errs where it is told to."""

# First, since it sets what libraries read when they are imported.
from worker.standalone.device_check import main  # isort: skip
from faulty_worker import FaultyEngine, devices

main(devices(), FaultyEngine)
