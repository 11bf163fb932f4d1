"""The process that takes a training's first steps: what it says, and how it may end."""

import textwrap

import psutil
import pytest

from models.training.config import TrainingConfig
from models.training.trial import Trial
from models.types.errors import DeviceError
from producer.local.probe import try_training

TRIAL = Trial(
    load_s=1.0,
    encode_s=0.5,
    batch_s=2.0,
    saves_memory=False,
    peak_bytes=1,
    state_bytes=2,
    lora_bytes=3,
    picture_bytes=4,
)


@pytest.fixture
def tried(tmp_path, monkeypatch):
    """Return a maker of trials by a program of these lines, and what they were said to have done."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = []

    def make(lines):
        (tmp_path / "trial_of_the_test.py").write_text(textwrap.dedent(lines))
        return try_training(TrainingConfig(model_id="demo"), tmp_path, done.append, "trial_of_the_test")

    return make, done


def test_each_thing_is_told_as_it_is_done_and_the_last_answer_counts(tried):
    make, done = tried
    answer = f"""
        import dataclasses, json
        from models.training.trial import Trial
        print(json.dumps({{"did": "loaded demo"}}), flush=True)
        print(json.dumps({{"did": "took step 1 of 3"}}), flush=True)
        print(json.dumps(dataclasses.asdict({TRIAL!r})))
    """
    assert make(answer) == TRIAL
    assert done == ["loaded demo", "took step 1 of 3"]


@pytest.mark.parametrize(
    ("end", "why"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "the device's driver ended the process (SIGKILL)"),
        ("raise ImportError('no such driver')", "the worker's libraries cannot be used: ImportError: no such driver"),
        ("print(json.dumps({'error': 'a worker has the cpu'}))", "a worker has the cpu"),
    ],
)
def test_one_that_ends_before_it_has_measured_anything_is_a_line(tried, end, why):
    make, done = tried
    with pytest.raises(DeviceError) as caught:
        make(f"import json, os, signal\nprint(json.dumps({{'did': 'loaded demo'}}), flush=True)\n{end}\n")
    assert str(caught.value).startswith(why)
    assert "\n" not in str(caught.value)
    assert done == ["loaded demo"]


def test_ctrl_c_ends_it(tmp_path, monkeypatch):
    """It has the device, which whoever comes next would find taken."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    said = "import json, os, signal; print(json.dumps({'did': str(os.getpid())}), flush=True); signal.pause()"
    (tmp_path / "trial_of_the_test.py").write_text(said)
    pids = []

    def interrupt(pid):
        pids.append(int(pid))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        try_training(TrainingConfig(model_id="demo"), tmp_path, interrupt, "trial_of_the_test")
    assert not psutil.pid_exists(*pids)
