"""A training that was cut short goes on where it stopped."""

import io

import pytest
import torch
from rich.console import Console

from training.stages import Stages


@pytest.fixture
def stages(tmp_path):
    return Stages(tmp_path / "work")


def test_a_finished_stage_is_not_run_again(stages, tmp_path):
    made = stages.run("first", lambda: {"weight": torch.arange(3.0)})
    again = Stages(tmp_path / "work").run("first", lambda: pytest.fail("ran again"))
    assert torch.equal(made["weight"], again["weight"])
    assert stages.seconds["first"] >= 0


def test_a_stage_that_was_cut_short_leaves_nothing_and_those_before_it_stay(stages):
    stages.run("first", lambda: {"weight": torch.ones(1)})

    def cut_short():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stages.run("second", cut_short)
    assert list(stages.seconds) == ["first"]
    assert torch.equal(stages.run("second", lambda: {"weight": torch.zeros(1)})["weight"], torch.zeros(1))
    assert stages.run("first", lambda: pytest.fail("ran again"))


def test_progress_says_the_stage_how_far_it_is_and_what_it_says_of_itself(stages):
    stages.console = Console(file=io.StringIO(), force_terminal=True, width=120)
    losses = iter([0.5, 0.25])
    stages.watched("denoiser", 2, losses, lambda loss: f"loss {loss:.2f}")
    shown = stages.console.file.getvalue()
    assert "denoiser" in shown
    assert "2/2" in shown
    assert "loss 0.25" in shown


def test_in_a_file_progress_is_a_line_now_and_then(stages):
    stages.console = Console(file=io.StringIO(), width=120)
    assert stages.watched("denoiser", 100, range(100)) == list(range(100))
    shown = stages.console.file.getvalue().splitlines()
    assert [line for line in shown if " of 100" in line] == [f"denoiser: {n} of 100" for n in range(10, 101, 10)]
