"""The tolerance of `producer doctor --device`: what a dtype rounds passes, another picture does not."""

import numpy as np
import pytest
import torch

from worker.engine.devices.cpu import Cpu
from worker.engine.making.generation import generate
from worker.standalone.device_check import tolerance


@pytest.mark.parametrize(
    ("dtype", "allowed"), [(torch.float32, 0.5), (torch.float16, 1.0), (torch.bfloat16, 4.48)], ids=str
)
def test_the_tolerance_is_half_a_level_and_what_the_dtype_rounds(dtype, allowed):
    assert tolerance(dtype) == pytest.approx(allowed, abs=0.01)


def test_the_demo_in_bfloat16_is_well_within_it_and_another_seed_is_not(load, spec):
    def picture(dtype, seed):
        asked = spec(prompt="a photo of a red shoe on white background", seed=seed, steps=4, scheduler="DDIM")
        made = generate(load(dtype=dtype), Cpu("cpu", dtype), asked, lambda _step: None)
        return np.asarray(made.picture).astype(float)

    right = picture(torch.float32, 1)
    rounded = np.abs(picture(torch.bfloat16, 1) - right).mean()
    assert 0 < rounded < tolerance(torch.bfloat16) / 4
    assert np.abs(picture(torch.float32, 2) - right).mean() > tolerance(torch.bfloat16)
