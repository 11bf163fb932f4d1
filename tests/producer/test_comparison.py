"""What a comparison says of its variants: ranges, chance, and how many pictures would tell."""

import random

import pytest
import torch
from lora_files import save

from models.figures.variants import Trial
from models.types.states import JobState
from producer.actions.reports.comparison import chance_of, compare, pictures_that_would_tell, wilson
from producer.prompts.axes import Axis, expanded, parse_axis, variant_of
from producer.prompts.request import Request


def pictures(**accepted):
    """Return trials of variants, whose pictures are accepted (1), rejected (0) or not made (-)."""
    states = {"1": JobState.SUCCEEDED, "0": JobState.REJECTED, "-": JobState.QUEUED}
    return [
        Trial({"lora": name}, "a boot", seed, seed, states[sign], 2.0 + seed, 10**9)
        for name, signs in accepted.items()
        for seed, sign in enumerate(signs)
    ]


@pytest.mark.parametrize(
    ("accepted", "judged", "low", "high"),
    # As statsmodels' proportion_confint(…, method="wilson") has them.
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (20, 24, 0.6415, 0.9332)],
)
def test_the_range_of_a_share(accepted, judged, low, high):
    assert wilson(accepted, judged) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(
    ("won", "lost", "chance"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 0.0625), (6, 0, 0.03125), (8, 2, 0.109375), (5, 5, 1.0)],
)
def test_how_often_chance_does_so_much(won, lost, chance):
    assert chance_of(won, lost) == pytest.approx(chance)
    assert chance_of(lost, won) == pytest.approx(chance)


def test_of_several_that_are_as_good_the_last_is_named():
    found = compare(pictures(none="000000", early="111111", late="111111"), is_judged=True)
    assert found.verdict.startswith("late and none are not told apart") or found.verdict.startswith("late is better")


def test_thousands_of_pairs_are_no_trouble():
    assert chance_of(3_000, 2_000) < 1e-40


@pytest.mark.parametrize(("won", "lost", "pairs"), [(6, 2, 24), (12, 3, 48), (3, 1, 12)])
def test_so_many_pictures_as_it_says_tell_it_most_times(won, lost, pairs):
    enough = pictures_that_would_tell(won, lost, pairs)
    draw = random.Random(1)
    told = 0
    for _ in range(500):
        outcomes = [draw.random() for _ in range(enough)]
        wins = sum(one < won / pairs for one in outcomes)
        losses = sum(won / pairs <= one < (won + lost) / pairs for one in outcomes)
        told += chance_of(wins, losses) < 0.05
    # The exact test asks for a little more than the formula, which is of a normal distribution.
    assert 0.65 < told / 500 < 0.9


def test_variants_are_held_against_the_first_pair_by_pair():
    found = compare(pictures(none="1100-1", olive="111011"), is_judged=True)
    first, olive = found.variants
    assert (first.variant, first.pictures, first.judged, first.accepted) == ("none", 6, 5, 3)
    assert (olive.judged, olive.accepted, olive.won, olive.lost) == (6, 5, 1, 0)
    assert (olive.mean_s, olive.peak_bytes) == (4.5, 10**9)
    assert (first.won, first.lost) == (0, 0)


def test_a_difference_that_chance_makes_is_not_called_one():
    found = compare(pictures(none="0" * 4 + "1" * 20, olive="1" * 24), is_judged=True)
    assert found.verdict == (
        "olive and none are not told apart by 24 pictures: of 24 pairs it won 4 and lost 0. If that is how they "
        "differ, about 45 would tell."
    )


def test_a_difference_that_chance_hardly_makes_is():
    found = compare(pictures(none="0" * 8 + "1" * 16, olive="1" * 24), is_judged=True)
    assert found.verdict == "olive is better than none: of 24 pairs it won 8 and lost 0, by chance 0.0078 times of 1."


def test_of_many_variants_the_best_needs_more():
    one = compare(pictures(none="0" * 6 + "1" * 18, a="1" * 24), is_judged=True)
    many = compare(pictures(none="0" * 6 + "1" * 18, **dict.fromkeys("abcdef", "1" * 24)), is_judged=True)
    assert "is better than" in one.verdict
    assert "are not told apart" in many.verdict


@pytest.mark.parametrize(
    ("trials", "is_judged", "said"),
    [
        (pictures(none="11", olive="11"), False, "The pictures are not judged"),
        (pictures(none="11", olive="--"), True, "Not every variant has a picture that is judged yet."),
        (pictures(none="11", olive="01"), True, "No variant is better than none by the 2 pictures of each."),
        (pictures(none="11"), True, "Not every variant has"),
    ],
)
def test_where_there_is_nothing_to_say(trials, is_judged, said):
    assert compare(trials, is_judged=is_judged).verdict.startswith(said)


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("guidance=3,7.5", Axis("guidance", ("3", "7.5"))),
        ("lora=none, olive:0.5+worn", Axis("lora", ("none", "olive:0.5+worn"))),
        ("cfg_scale=3", Axis("guidance", ("3",))),
    ],
)
def test_an_axis(text, axis):
    assert parse_axis(text, []) == axis


NO_AXES = ["guidance", "=3", "seed=1,2", "prompt=a", "colour=red", "steps=", "steps=4,4", "lora=x/"]


@pytest.mark.parametrize("text", NO_AXES)
def test_what_is_no_axis(text, tmp_path):
    with pytest.raises(ValueError, match=f"^{text}"):
        parse_axis(text, [tmp_path])


def test_a_folder_of_loras_is_an_axis_in_the_order_of_its_numbers(tmp_path):
    for step in (500, 1000, 3000, 2500):
        save({"x": torch.ones(1)}, tmp_path / "shoes" / f"olive-{step}.safetensors")
    axis = parse_axis("lora=none,shoes/", [tmp_path])
    assert axis.values == ("none", *(f"shoes/olive-{step}" for step in (500, 1000, 2500, 3000)))


def test_each_request_comes_in_all_variants_on_the_same_seeds():
    axes = Axis("lora", ("none", "olive+worn:2")), Axis("guidance", ("3", "7.5"))
    requests = [Request(1, {"prompt": "a"}), Request(2, {"prompt": "b", "seed": "9"}, {"season": "winter"})]
    found = list(expanded(iter(requests), axes, {"seed": 5, "count": 4}))
    assert [(one.values["prompt"], one.values["seed"]) for one in found] == [("a", 5)] * 4 + [("b", "9")] * 4
    assert [(one.values["lora"], one.values["guidance"]) for one in found[:4]] == [
        ("", "3"), ("", "7.5"), ("olive, worn:2", "3"), ("olive, worn:2", "7.5")
    ]  # fmt: skip
    assert variant_of(found[3].attributes) == "lora olive+worn:2, guidance 7.5"
    assert found[4].attributes == {"season": "winter", "lora": "none", "guidance": "3"}
    assert [one.values["seed"] for one in expanded(iter([requests[0]] * 3), axes[:1], {})] == [1, 1, 2, 2, 3, 3]


def test_a_variant_of_one_axis_is_called_by_its_value():
    assert variant_of({"lora": "olive", "season": "winter"}) == "olive"
    assert variant_of({"season": "winter"}) == ""
