import pytest

from producer.prompts.option_lines import has_options, parse_options


@pytest.mark.parametrize("line", ["a red shoe", "a shoe -- red", "a --- b", "well--made", "-- ", "a -s b", "--1", ""])
def test_a_line_without_options_is_a_prompt(line):
    assert not has_options(line)


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("--prompt a red shoe", {"prompt": "a red shoe"}),
        ("  --prompt 'a  red shoe' --steps 20 ", {"prompt": "a  red shoe", "steps": "20"}),
        (
            '--prompt "it\'s red" --negative_prompt mud, rain --cfg_scale 7 --sampler_name "Euler a"',
            {"prompt": "it's red", "negative_prompt": "mud, rain", "guidance": "7", "scheduler": "Euler a"},
        ),
        (
            "--negative-prompt mud --prompt a --guidance 3.5",
            {"negative_prompt": "mud", "prompt": "a", "guidance": "3.5"},
        ),
        ("--prompt a -- b --seed -1", {"prompt": "a -- b"}),
        ("--prompt a --seed 7 --width 64 --height 128", {"prompt": "a", "seed": "7", "width": "64", "height": "128"}),
        ("--prompt a --batch_size 2 --n_iter 3", {"prompt": "a", "count": 6}),
        ("--prompt a --count 4", {"prompt": "a", "count": "4"}),
        ("--steps 10", {"steps": "10"}),
        ("--caption a --num_inference_steps 4 --guidance-scale 3", {"prompt": "a", "steps": "4", "guidance": "3"}),
    ],
)
def test_options(line, values):
    assert has_options(line)
    assert parse_options(line) == values


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--prompt a dog's bowl", "a quote is left open"),
        ("a red shoe --steps 20", "begin it with --prompt, or take --steps out"),
        ("--prompt a --restore_faces true", "unknown option --restore_faces; known are prompt, "),
        ("--prompt a --steps", "--steps has no value"),
        ("--prompt --steps 3", "--prompt has no value"),
        ("--prompt '' --steps 3", "--prompt has no value"),
        ("--prompt a --prompt b", "--prompt says prompt a second time"),
        ("--prompt a --cfg_scale 3 --guidance 4", "--guidance says guidance a second time"),
        ("--prompt a --n_iter x", "n_iter: 'x' is not a whole number"),
        (f"--prompt a --n_iter {'9' * 5000}", "is not a whole number"),
        ("--prompt a --n_iter 2 --count 2", "--count and --n_iter both say how many"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(line, said):
    with pytest.raises(ValueError, match=said):
        parse_options(line)
