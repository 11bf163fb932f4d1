"""Knobs as a load's row keeps them: equal ones are equal, and what a newer version adds is no harm."""

from models.types.identity import Knobs


def test_a_row_gives_back_what_it_was_given():
    for knobs in (Knobs(), Knobs(attention_slicing=True), Knobs(attention_slicing=False)):
        assert Knobs.from_dict(knobs.as_dict()) == knobs


def test_what_was_not_said_is_not_kept():
    assert Knobs().as_dict() == {}
    assert Knobs.from_dict(None) == Knobs()


def test_what_a_newer_version_says_beside_is_left_out():
    assert Knobs.from_dict({"attention_slicing": True, "compiled": "whole"}) == Knobs(attention_slicing=True)
