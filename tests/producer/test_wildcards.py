"""Wildcards: what stands in their files is taken as text or refused with file and line; nothing is lost in silence."""

import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from models.types.errors import BadInputError
from producer.prompts.problems import Problems
from producer.prompts.request import Request
from producer.prompts.templates.templates import METHODS, Templates
from producer.prompts.templates.weights import repetitions, split_weight
from producer.prompts.templates.wildcards import Wildcards


def prompts_of(folder: Path, template: str, method="combinatorial", limit=None, **values):
    problems = Problems()
    templates = Templates(METHODS[method], limit, 1, Wildcards(folder, None, METHODS[method], limit))
    requests = templates.expand(iter([Request(1, {"prompt": template, **values})]), "p.txt", problems)
    found = [request.values["prompt"] for request in requests]
    problems.refuse()
    return found


def problem_of(folder: Path, template: str, **options):
    with pytest.raises(BadInputError) as caught:
        prompts_of(folder, template, **options)
    (problem,) = caught.value.problems
    return problem


YAML = """\
sizes: [38, 39.5, "41 EU", 1e3, 0x10, 007]
answers: [yes, no, maybe, on, null, ~, True]
dates: [2024-01-01, 12:30]
braces:
  - {red|blue}
  - plain
nested:
  deep: [a, b]
one: just this
"""


@pytest.mark.parametrize("name", ["w.yaml", "w.yml", "W.YAML"])
@pytest.mark.parametrize(
    ("wildcard", "values"),
    [
        ("sizes", ["38", "39.5", "41 EU", "1e3", "0x10", "007"]),
        ("answers", ["yes", "no", "maybe", "on", "null", "~", "True"]),
        ("dates", ["2024-01-01", "12:30"]),
        ("braces", ["red", "blue", "plain"]),
        ("nested/deep", ["a", "b"]),
        ("one", ["just this"]),
    ],
)
def test_values_of_yaml_are_the_text_that_stands_there(tmp_path, name, wildcard, values):
    (tmp_path / name).write_text(YAML)
    assert prompts_of(tmp_path, f"__{wildcard}__") == values


def test_values_of_json_are_the_text_that_stands_there(tmp_path):
    (tmp_path / "w.json").write_text(
        '{\n\t"sizes":[38,39.50,true,"\\ud83d\\udc5f \\u00fc"],\n\t"more": {"deep": ["a"]}}'
    )
    assert prompts_of(tmp_path, "__sizes__") == ["38", "39.50", "true", "👟 ü"]
    assert prompts_of(tmp_path, "__more/deep__") == ["a"]


@pytest.mark.parametrize(
    ("name", "content", "template", "said"),
    [
        ("w.yaml", b"a: [b\n", "__a__", "w.yaml, line 2: broken YAML"),
        ("w.yaml", b"a: b: c\n", "__a__", "w.yaml, line 1: broken YAML"),
        ("w.yaml", b"a:\n  - b\n  - [c]\n", "__a__", "w.yaml, line 3: is no text; put quotes around it"),
        ("w.yaml", b"a:\n  - b: c\n", "__a__", "w.yaml, line 2: is no text"),
        ("w.yaml", b"a:\n  - {text: b, weight: x}\n", "__a__", "w.yaml, line 2: the weight x is not a number"),
        ("w.yaml", b"a: [caf\xe9]\n", "__a__", "w.yaml, line 1: byte 8 (0xe9) is not UTF-8"),
        ("w.json", b'{"a": [1,\n}', "__a__", "w.json, line 2: broken JSON"),
        ("w.txt", b"blue\ncaf\xe9 brown\n", "__w__", "w.txt, line 2: byte 4 (0xe9) is not UTF-8"),
        ("w.txt", "red\n".encode("utf-16"), "__w__", "w.txt: is UTF-16 text"),
        ("w.txt", b"re\0d\n", "__w__", "w.txt: looks like a binary file"),
        ("w.txt", b"red\n-1::blue\n", "__w__", "w.txt, line 2: '-1::blue': the weight -1 is not 0 or more"),
        ("w.txt", b"red\n{2 ::a|b}\n", "__w__", "w.txt, line 2: '2 ::' is no weight here"),
        ("w.txt", b"2::3::a\n", "__w__", "w.txt, line 1: '3::' is no weight here"),
        ("w.txt", b"1::{0::a|0::b}\n", "__w__", "w.txt, line 1: all weights of a choice are 0"),
        ("w.txt", b"0::a\n0::b\n", "__w__", "all values of wildcard 'w' have the weight 0"),
    ],
)
def test_what_cannot_be_read_is_refused_with_file_and_line(tmp_path, name, content, template, said):
    (tmp_path / name).write_bytes(content)
    problem = problem_of(tmp_path, template)
    assert said in problem
    assert "\n" not in problem


def test_a_file_that_cannot_be_read_does_not_matter_where_nothing_is_taken_from_it(tmp_path):
    (tmp_path / "broken.yaml").write_text("a: [b")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    (tmp_path / "colour.txt").write_text("red\n")
    assert prompts_of(tmp_path, "__colour__") == ["red"]
    assert "broken.yaml, line 1" in problem_of(tmp_path, "__nope__") or "broken YAML" in problem_of(
        tmp_path, "__nope__"
    )


def test_a_byte_order_mark_is_no_part_of_the_first_value(tmp_path):
    (tmp_path / "bom.txt").write_bytes(b"\xef\xbb\xbfred\r\nblue\r\n")
    assert prompts_of(tmp_path, "__bom__") == ["red", "blue"]


@pytest.mark.parametrize("lying", ["NFC", "NFD"])
@pytest.mark.parametrize("asked", ["NFC", "NFD"])
def test_names_match_in_whatever_form_they_are_written(tmp_path, lying, asked):
    (tmp_path / f"{unicodedata.normalize(lying, 'größe')}.txt").write_text("klein\n")
    (tmp_path / "w.yaml").write_text(f"{unicodedata.normalize(lying, 'fuß')}: [links]\n")
    assert prompts_of(tmp_path, unicodedata.normalize(asked, "__größe__ __fuß__")) == ["klein links"]


WEIGHED = {
    "w.txt": "20::hat\n0.1::turban\n0::never\n",
    "w.yaml": "w:\n  - '20::hat'\n  - '0.1::turban'\n  - '0::never'\n",
    "w.json": '{"w": [{"text": "hat", "weight": 20}, "0.1::turban", {"content": "never", "weight": 0}]}',
}


@pytest.mark.parametrize("name", WEIGHED)
def test_weights_are_honoured_in_every_format(tmp_path, name):
    (tmp_path / name).write_text(WEIGHED[name])
    assert prompts_of(tmp_path, "__w__") == ["hat", "turban"]
    drawn = Counter(prompts_of(tmp_path, "__w__", method="random", limit=1000))
    assert set(drawn) <= {"hat", "turban"}
    assert drawn["hat"] > 950
    assert Counter(prompts_of(tmp_path, "__w__", method="cyclical", limit=202)) == {"hat": 200, "turban": 2}


def test_a_weight_before_a_choice_is_no_part_of_the_prompt(tmp_path):
    (tmp_path / "w.yaml").write_text("style:\n  - '2::{|3::blood} red'\n  - green\n")
    drawn = Counter(prompts_of(tmp_path, "__style__", method="random", limit=600))
    assert set(drawn) == {"red", "blood red", "green"}
    assert drawn["blood red"] > drawn["red"]
    assert drawn["red"] + drawn["blood red"] > drawn["green"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{0::a|0::b} shoe", "all weights of a choice are 0"),
        ("{1::a|{0::b|0::c}} shoe", "all weights of a choice are 0"),
        ("${x=!{0::a}}${x}", "all weights of a choice are 0"),
        ("2::{a|b} shoe", "'2::' is no weight here"),
        ("{-1::a|b}", "'-1::' is no weight here"),
        ("{1e3::a|b}", "'1e3::' is no weight here"),
        ("{a|2 ::b}", "'2 ::' is no weight here"),
    ],
)
def test_weights_that_cannot_be_honoured_are_refused(tmp_path, method, template, said):
    assert said in problem_of(tmp_path, template, method=method, limit=2)


@pytest.mark.parametrize("method", METHODS)
def test_what_has_the_weight_0_never_comes(tmp_path, method):
    assert set(prompts_of(tmp_path, "{0::a|b|0.5::{0::c|d}}", method=method, limit=50)) <= {"b", "d"}


@pytest.mark.parametrize("text", ["std::vector", "a 3::b", "::", "ratio 2::1", "a::b::c"])
def test_colons_that_are_no_weight_are_text(tmp_path, text):
    assert prompts_of(tmp_path, text) == [text]
    assert split_weight(text) == (1.0, text)


@pytest.mark.parametrize(
    ("prompt", "negative", "both"),
    [
        ("a {red|blue} shoe", "{blurry|noisy}", [("a red shoe", "blurry"), ("a red shoe", "noisy")]),
        ("a shoe", "{blurry|noisy}", [("a shoe", "blurry"), ("a shoe", "noisy")]),
        ("${c=!{red|blue}}a ${c} shoe", "not ${c}", [("a red shoe", "not red"), ("a blue shoe", "not blue")]),
        (
            "a {red|blue} shoe",
            "blurry  (x:1.2)",
            [("a red shoe", "blurry  (x:1.2)"), ("a blue shoe", "blurry  (x:1.2)")],
        ),
    ],
)
@pytest.mark.parametrize("own", [True, False])
def test_a_negative_prompt_is_a_template_too(tmp_path, prompt, negative, both, own):
    problems = Problems()
    templates = Templates(METHODS["combinatorial"], None, 1, Wildcards(tmp_path, None))
    values = {"prompt": prompt} | ({"negative_prompt": negative} if own else {})
    found = list(templates.expand(iter([Request(1, values)]), "p.txt", problems, None if own else negative))
    problems.refuse()
    said = [(request.values["prompt"], request.values.get("negative_prompt", negative)) for request in found]
    assert said[:2] == both
    assert len(said) == len(set(said)) == (4 if "|" in prompt and "|" in negative else 2)
    if "{blurry" in negative:
        assert [request.attributes["negative choice 1"] for request in found[:2]] == ["blurry", "noisy"]


def test_turns_are_in_proportion_to_the_weights():
    assert repetitions([1, 1, 1]) == [1, 1, 1]
    assert repetitions([3, 1]) == [3, 1]
    assert repetitions([0.5, 1]) == [50, 100]
    assert repetitions([1e9, 1e-9]) == [100, 1]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("template", ["__many__ shoe", "{__many__} shoe"])
def test_a_wildcard_of_a_hundred_thousand_lines(tmp_path, method, template):
    (tmp_path / "many.txt").write_text("".join(f"colour {number}\n" for number in range(100_000)))
    found = prompts_of(tmp_path, template, method=method, limit=20)
    assert len(set(found)) == 20
    first = [f"colour {number} shoe" for number in range(20)]
    assert (found == first) == (method != "random")


@pytest.mark.timeout(5)
@pytest.mark.parametrize("text", ["{" + "1" * 9_000, "{" + " " * 9_000, "{ " * 4_000, "|" * 9_000, "1." * 4_000])
def test_no_text_makes_the_search_for_weights_slow(text):
    assert split_weight(f"a{text}") == (1.0, f"a{text}")
