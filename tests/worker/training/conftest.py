"""What the tests of trainings share: a few pictures of one colour each."""

import pytest
from demo_training import SIDE, pipeline
from PIL import Image

from worker.engine.training.examples import EncodedExamples, Example, encode
from worker.engine.training.parts import Parts


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return [
        Example(Image.new("RGB", (96, 80), colour), f"a {colour} square")
        for colour in ("red", "green", "blue", "white", "black")
    ]


@pytest.fixture(scope="module")
def encoded(examples: list[Example]) -> EncodedExamples:
    return encode(examples, Parts.of(pipeline()), [(SIDE, SIDE)], mirrored=False)
