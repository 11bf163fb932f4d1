"""Which LoRAs of a training are kept and given away: those of which most pictures were accepted."""

from types import SimpleNamespace
from typing import Any

import pytest

from models.types.errors import BadInputError
from producer.actions.checkpoints_of_training import best_first, files_of, keep_best, write_card

LORAS = ("boots/boots-000010", "boots/boots-000020", "boots/boots-000030")


@pytest.fixture
def made(settings, tmp_path):
    """Return the settings of a training's data folder, in which its LoRAs lie."""
    found = settings(data_dir=tmp_path)
    for lora in LORAS:
        for file in files_of(found, lora):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(lora)
    return found


def progress(*, is_over=True) -> Any:
    training = SimpleNamespace(name="boots")
    segments = [SimpleNamespace(lora=lora) for lora in (None, *LORAS)]
    return SimpleNamespace(training=training, segments=segments, is_over=is_over)


def compared(*accepted) -> Any:
    variants = [SimpleNamespace(variant=lora, accepted=count) for lora, count in zip(LORAS, accepted, strict=True)]
    return SimpleNamespace(variants=variants)


@pytest.mark.parametrize(
    ("accepted", "order"), [((1, 3, 2), (1, 2, 0)), ((3, 1, 3), (2, 0, 1)), ((0, 0, 0), (2, 1, 0))]
)
def test_the_best_is_that_of_which_most_were_accepted_and_of_several_the_last(made, accepted, order):
    assert best_first(made, progress(), compared(*accepted)) == [LORAS[number] for number in order]


def test_those_that_are_not_there_are_passed_over(made):
    files_of(made, LORAS[1])[0].unlink()
    assert best_first(made, progress(), compared(1, 3, 2)) == [LORAS[2], LORAS[0]]


def test_all_but_the_best_are_removed_in_both_layouts_once_all_were_compared(made):
    for over, left in ((False, 0), (True, 2)):
        with pytest.raises(BadInputError, match="nothing was removed"):
            keep_best(made, progress(is_over=over), compared(1, 3, 2), 1, left)
    assert keep_best(made, progress(), compared(1, 3, 2), 1, 0) == [LORAS[0], LORAS[2]]
    assert [[file.exists() for file in files_of(made, lora)] for lora in LORAS] == [
        [False] * 2,
        [True] * 2,
        [False] * 2,
    ]


def test_where_none_is_left_there_is_no_card(made, tmp_path):
    for lora in LORAS:
        files_of(made, lora)[0].unlink()
    with pytest.raises(BadInputError, match="no LoRA of it is there"):
        write_card(made, tmp_path / "card", progress(), compared(1, 3, 2), "sheet.png")
