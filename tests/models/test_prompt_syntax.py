"""A1111's syntax: what each bracket does to the weights, and that no text is slow or lost."""

import random

import pytest

from models.types.prompt_syntax import has_syntax, left_as_words, parse_prompt


def parsed(text):
    return [[(fragment.text, round(fragment.weight, 4)) for fragment in part] for part in parse_prompt(text)]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("normal text", [[("normal text", 1)]]),
        ("", [[("", 1)]]),
        ("an (important) word", [[("an ", 1), ("important", 1.1), (" word", 1)]]),
        ("(unbalanced", [[("unbalanced", 1.1)]]),
        (r"\(literal\]", [[("(literal]", 1)]]),
        (r"a \\ b", [[(r"a \ b", 1)]]),
        (r"a \d", [[(r"a \d", 1)]]),
        ("(unnecessary)(parens)", [[("unnecessaryparens", 1.1)]]),
        ("a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).", [[
            ("a ", 1), ("house", 1.573), (" ", 1.1), ("on", 1.0), (" a ", 1.1), ("hill", 0.55),
            (", sun, ", 1.1), ("sky", 1.4641), (".", 1.1),
        ]]),
        ("[word]", [[("word", 0.9091)]]),
        ("[[word", [[("word", 0.8264)]]),
        ("(a:1.5) (b: .5 ) (c:2.)", [[("a", 1.5), (" ", 1), ("b", 0.5), (" ", 1), ("c", 2)]]),
        ("(a:b) c", [[("a:b", 1.1), (" c", 1)]]),
        ("ratio 16:9 (wide)", [[("ratio 16:9 ", 1), ("wide", 1.1)]]),
        (":1.3) a", [[(":1.3) a", 1)]]),
        ("(a:-1)", [[("a", 0)]]),
        ("a ) ] b", [[("a ) ] b", 1)]]),
        ("([a)b]", [[("a)b", 1.0)]]),
        ("red BREAK blue", [[("red", 1)], [("blue", 1)]]),
        ("(red) BREAK\n BREAK [blue]", [[("red", 1.1)], [("", 1)], [("blue", 0.9091)]]),
        ("BREAKFAST break", [[("BREAKFAST break", 1)]]),
        ("[a:b:0.5] c", [[("[a:b:0.5] c", 1)]]),
        ("([a|b]) c", [[("[a|b]", 1.1), (" c", 1)]]),
    ],
)  # fmt: skip
def test_weights_are_those_of_a1111(text, parts):
    assert parsed(text) == parts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a red shoe", []),
        ("a AND b", ["AND"]),
        ("BRAND and LAND", []),
        ("a [red:blue:0.5] shoe", ["change over the steps"]),
        ("a [red|blue] shoe", ["change over the steps"]),
        (r"\[a:b\]", []),
        ("a <hypernet:shoes:0.8>", ["a network"]),
        ("(x:-0.5)", ["below 0"]),
        ("a AND [b:c:3] <lyco:x:1>", ["AND", "change over the steps", "a network"]),
    ],
)
def test_what_is_not_understood_is_told_of(text, said):
    left = list(left_as_words(text))
    assert len(left) == len(said)
    assert all(word in one for word, one in zip(said, left, strict=True))


def test_words_alone_have_no_syntax():
    assert not has_syntax("a red shoe: 16:9, {a|b} <lora:x:1> AND 1.5")
    for text in ("(a)", "[a", "a]", "a\\", "a BREAK b"):
        assert has_syntax(text)


def test_no_character_of_a_word_is_lost():
    rng = random.Random(1)
    for _ in range(2000):
        text = "".join(
            rng.choice(["a", "b c", "(", ")", "[", "]", ":1.2", ":", "\\", " BREAK ", "|", "ü"]) for _ in range(12)
        )
        kept = "".join(fragment.text for part in parse_prompt(text) for fragment in part)
        assert kept.count("a") == text.replace("BREAK", "").count("a")
        assert kept.count("ü") == text.count("ü")
        assert all(fragment.weight >= 0 for part in parse_prompt(text) for fragment in part)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("run", ["(", "((a:", "[", "[a:", "(a)", "\\", ":1", "BREAK ", " ", "[a|", "(a:1.1"])
def test_no_text_is_slow(run):
    text = (run * 10_000)[:10_000]
    parse_prompt(text)
    list(left_as_words(text))
