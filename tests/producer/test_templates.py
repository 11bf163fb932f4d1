from pathlib import Path

import pytest

from models.types.errors import BadInputError
from producer.prompts.problems import Problems
from producer.prompts.request import Request
from producer.prompts.sources import TEMPLATES
from producer.prompts.templates.templates import METHODS, Templates
from producer.prompts.templates.wildcards import Wildcards

SEASONS = ("winter", "summer", "spring")


def test_the_command_line_offers_every_method():
    assert tuple(METHODS) == TEMPLATES


@pytest.fixture(autouse=True)
def _wildcards(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, lines in {
        "season": "winter\nsummer\n# a remark\n\nspring\n",
        "self": "a __self__\n",
        "empty": "",
        "broken": "{a|\n",
        "nested": "{light|dark} grey\nblack\n",
    }.items():
        Path(f"{name}.txt").write_text(lines)


def expanded(*prompts: str, method="combinatorial", limit=None, seed=None, folder=None, values=None):
    templates = Templates(METHODS[method], limit, seed, Wildcards(folder, Path()))
    requests = [Request(line, {"prompt": prompt, **(values or {})}) for line, prompt in enumerate(prompts, 1)]
    problems = Problems()
    found = list(templates.expand(iter(requests), "p.txt", problems))
    problems.refuse()
    return found


def prompts_of(*prompts: str, **options):
    return [request.values["prompt"] for request in expanded(*prompts, **options)]


@pytest.mark.parametrize(
    ("template", "prompts"),
    [
        ("a red shoe", ["a red shoe"]),
        ("a {b|c} d", ["a b d", "a c d"]),
        ("{a|b} {c|d}", ["a c", "a d", "b c", "b d"]),
        ("  a   {b| c}", ["a b", "a c"]),
        ("in __season__", ["in winter", "in summer", "in spring"]),
        ("{in __season__|now}", ["in winter", "in summer", "in spring", "now"]),
        ("__nested__", ["light grey", "dark grey", "black"]),
        ("{2$$ and $$a|b|c}", ["a and b", "a and c", "b and a", "b and c", "c and a", "c and b"]),
        ("{2$$__season__}", [f"{a},{b}" for a in SEASONS for b in SEASONS if a != b]),
        ("${c=!{red|blue}}${c} shoe, ${c} lace", ["red shoe, red lace", "blue shoe, blue lace"]),
        ("{ {a|b} | {a|b} }", ["a", "b"]),
        ("{@a|b} {c|d}", ["a c", "b d"]),
        ("a } b (c:1.2) [d|e] <lora:f:1>", ["a } b (c:1.2) [d|e] <lora:f:1>"]),
    ],
)
def test_combinations(template, prompts):
    assert prompts_of(template) == prompts


def test_each_template_has_its_limit_and_its_line():
    requests = expanded("{a|b|c}", "{d|e|f}", "g", limit=2)
    assert [(request.line, request.values["prompt"]) for request in requests] == [
        (1, "a"),
        (1, "b"),
        (2, "d"),
        (2, "e"),
        (3, "g"),
    ]


def test_a_line_keeps_its_other_values():
    assert [dict(request.values) for request in expanded("{a|b}", values={"steps": "4"})] == [
        {"prompt": "a", "steps": "4"},
        {"prompt": "b", "steps": "4"},
    ]


def test_cyclical_goes_through_each_choice():
    assert prompts_of("{a|b} {c|d|e}", method="cyclical", limit=4) == ["a c", "b d", "a e", "b c"]


def test_random_is_the_same_for_a_seed_and_differs_by_line():
    template = "{a|b|c|d} {e|f|g|h} {i|j|k|l}"
    first, second = (prompts_of(template, template, method="random", limit=20, seed=7) for _ in range(2))
    assert first == second
    assert first[:20] != first[20:]
    assert prompts_of(template, method="random", limit=20, seed=8) != first[:20]
    assert prompts_of(template, method="random", limit=20, values={"seed": "7"}) == first[:20]
    assert prompts_of(template, method="random", limit=20) != prompts_of(template, method="random", limit=20)


def test_a_variable_is_drawn_anew_for_each_prompt_and_once_in_it():
    prompts = prompts_of("${c=!{a|b|c|d}}${c} ${c}", method="random", limit=40, seed=1)
    assert set(prompts) == {"a a", "b b", "c c", "d d"}


@pytest.mark.parametrize("seed", [None, 7])
def test_what_was_drawn_is_not_what_was_asked_for(seed):
    (request,) = expanded("{a|b}", method="random", limit=1, seed=seed)
    assert request.drawn_from == (None if seed else "random {a|b}")


@pytest.mark.parametrize(
    ("template", "attributes"),
    [
        ("a red shoe", {}),
        ("a {red} shoe {x|y}", {"choice 1": "red", "choice 2": "x"}),
        ("a __season__ shoe", {"season": "winter"}),
        ("a {__season__}", {"season": "winter"}),
        ("${c={red|blue}}${c}", {"c": "red"}),
        ("${c=!{red  one|blue}}${c} ${c}", {"c": "red one"}),
        ("__season__ and {x|y} and __season__", {"season": "winter", "choice 1": "x"}),
        ("{red {x|y}|blue}", {"choice 1": "red x"}),
    ],
)
def test_what_was_chosen(template, attributes):
    assert expanded(template)[0].attributes == attributes


def test_a_name_that_is_chosen_for_twice_has_both():
    assert expanded("__season__ __season__")[1].attributes == {"season": "winter, summer"}


def test_wildcards_of_a_folder(tmp_path):
    folder = tmp_path / "mine"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "kind.txt").write_text("boot\nheel\n")
    (folder / "more.yaml").write_text("sole:\n  - flat\n  - thick\n")
    (folder / "list.json").write_text('["left", "right"]')
    assert prompts_of("__deep/kind__ __sole__ __list__", folder=folder, limit=3) == [
        "boot flat left",
        "boot flat right",
        "boot thick left",
    ]
    with pytest.raises(BadInputError, match="no wildcard 'season', or it has no values; known are deep/kind, list, "):
        expanded("__season__", folder=folder)


def test_a_folder_called_wildcards_beside_the_prompts(tmp_path):
    (tmp_path / "wildcards").mkdir()
    (tmp_path / "wildcards" / "kind.txt").write_text("boot\n")
    assert prompts_of("__season__ __kind__", limit=1) == ["winter boot"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("a {b|c", "column 3, '{b|c': the brace is not closed"),
        ("a __b", "column 3, '__b': the wildcard is not closed by __"),
        ("100% {a|b}", "column 4, '% {a|b}': this is no template; without --template it is plain text"),
        ("__nope__", "there is no wildcard 'nope', or it has no values; known are broken, empty, nested, season, self"),
        ("{a|{b|__nope__}}", "there is no wildcard 'nope'"),
        ("__${x:nope}__", "there is no wildcard 'nope'"),
        ("__../season__", "there is no wildcard '../season'"),
        ("__empty__", "there is no wildcard 'empty', or it has no values"),
        ("__self__", "a wildcard or a variable stands for itself"),
        ("__broken__", "a wildcard's value '{a|' cannot be read as a template"),
        ("${x} y", "Variable x is not defined"),
        ("{" * 1000, "its braces are nested too deep"),
        ("{a|" * 30, "the brace is not closed"),
        ("\ue000", "a character for private use"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_line(method, template, said):
    with pytest.raises(BadInputError) as caught:
        expanded("fine", template, "fine", method=method, limit=3)
    (problem,) = caught.value.problems
    assert problem.startswith("p.txt, line 2: ")
    assert said in problem


def test_a_template_that_stands_for_nothing():
    with pytest.raises(BadInputError, match="line 1: the template stands for no prompt at all"):
        expanded("{2$$a|a}")


def test_a_prompt_that_is_no_text_is_left_to_the_plan():
    (request,) = Templates(METHODS["combinatorial"], None, None, Wildcards(None, None)).expand(
        iter([Request(1, {"prompt": 7})]), "p.jsonl", Problems()
    )
    assert request.values == {"prompt": 7}
