import pytest

from checks.colour_names import colours


@pytest.mark.parametrize(
    ("prompt", "asked"),
    [
        ("A professional product photo of black casual shoes on white background", ["black"]),
        ("on white background, red sneakers", ["red"]),
        ("white background, red sneakers", ["red"]),
        ("red sneakers on white", ["red"]),
        ("on a plain white, a BLUE boot", ["blue"]),
        ("black and white sneakers", ["black", "white"]),
        ("navy blue boots", ["navy"]),
        ("a gray loafer with white laces", ["grey"]),
        ("white laces on a green shoe", []),
        ("with a white rubber sole: a tan shoe", ["tan"]),
        ("red, light", ["red"]),
        ("shoes in burgundy", ["burgundy"]),
        ("bored, tired, tanned, reddish", []),
        ("shoes", []),
        ("", []),
        ("on a red floor", []),
        ("in front of a soft white wall, boots: yellow", ["yellow"]),
        ("a pair of red shoes", ["red"]),
        ("near white flowers, beside grey grass, a navy boot", ["navy"]),
        ("a picture with red sneakers next to a blue vase", ["red"]),
        ("next to a blue vase, red sneakers in a white room", ["red"]),
        ("immaculate white infinity cove, tan boots", ["tan"]),
    ],
)
def test_the_colour_that_a_prompt_asks_for(prompt, asked):
    assert colours().asked(prompt, {}, ("laces", "sole")) == asked


@pytest.mark.parametrize(
    ("attributes", "asked"),
    [
        ({"colour": "dark red"}, ["red"]),
        ({"Color": "black and white"}, ["black", "white"]),
        ({"kind": "red boots"}, ["green"]),
        ({"colour": "plaid"}, ["green"]),
        ({"colour": "white background"}, ["white"]),
    ],
)
def test_an_attribute_called_colour_goes_before_the_prompt(attributes, asked):
    assert colours().asked("a green shoe", attributes) == asked


def test_every_shade_is_nearest_to_its_own_name():
    table = colours()
    for shade, name in zip(table.shades, table.name_of_shade, strict=True):
        assert table.shares(shade[None])[name] == 1
