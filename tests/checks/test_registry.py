import pytest

from checks.registry import LIMITS, SETS, select

PRODUCT = [name for name in LIMITS if name != "clip"]


@pytest.mark.parametrize(
    ("text", "checks"),
    [
        ("product", PRODUCT),
        ("product,clip", list(LIMITS)),
        ("shoes", PRODUCT),
        ("none", []),
        ("", []),
        ("broken", ["size", "file", "black", "flat"]),
        ("colour, background", ["background", "colour"]),
        ("product,-duplicates,-sharpness", [name for name in PRODUCT if name not in ("duplicates", "sharpness")]),
        ("background.share=0.9", ["background"]),
    ],
)
def test_what_a_batch_asks_for(text, checks):
    assert list(select(text).limits) == checks


def test_limits_are_kept_with_the_selection():
    chosen = select("product,background.share=0.9,background.grey=true").as_dict()
    assert chosen["background"] == {"share": 0.9, "white": 240, "grey": True}
    assert set(chosen) == set(SETS["product"])


@pytest.mark.parametrize("text", ["shoes,colour.bottom=0.2", "colour.bottom=0.2,shoes"])
def test_a_set_gives_limits_of_its_own_and_what_is_asked_for_goes_before(text):
    chosen = select(text).as_dict()["colour"]
    assert chosen["bottom"] == 0.2
    assert chosen["parts"] == SETS["shoes"]["colour"]["parts"] != ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("beauty", "no check is called 'beauty'; there are size, "),
        ("-beauty", "no check is called 'beauty'"),
        ("beauty.x=1", "no check is called 'beauty'"),
        ("background.x=1", "background has no limit 'x'; it has background.share, background.white, background.grey"),
        ("size.x=1", "size has no limit 'x'; it has none"),
        ("background.share=much", "background.share: Input should be a valid number"),
        ("background.share=2", "background.share: Input should be less than or equal to 1"),
    ],
)
def test_what_is_not_known_is_named(text, said):
    with pytest.raises(ValueError, match=said):
        select(text)
