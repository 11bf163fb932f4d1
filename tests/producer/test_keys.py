"""What columns, keys and options of prompts may be called, and what becomes of those of other names."""

import json

import pytest
from prompt_files import problems_of, read, requests_of, written


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


ALIASES = {
    "prompt": ("text", "caption", "Text", "Caption "),
    "negative_prompt": ("negative", "Negative Prompt", "neg_prompt"),
    "steps": ("num_inference_steps", "num-inference-steps"),
    "guidance": ("cfg_scale", "CFG scale", "guidance_scale", "cfg"),
    "scheduler": ("sampler", "sampler_name", "Sampler Name"),
    "count": ("num_images_per_prompt",),
}


@pytest.mark.parametrize(("name", "written"), [(n, alias) for n, aliases in ALIASES.items() for alias in aliases])
def test_names_that_people_use_are_understood_in_every_format(name, written):
    others = {} if name == "prompt" else {"prompt": "a"}
    asked = [(1, others | {name: "7"})]
    cells = others | {written: "7"}
    assert read("p.jsonl", json.dumps(cells)) == asked
    assert read("p.csv", f"{','.join(cells)}\n{','.join(cells.values())}\n") == [(2, asked[0][1])]
    option = written.strip().replace(" ", "_")
    assert read("p.txt", " ".join(f"--{key} {value}" for key, value in (others | {option: "7"}).items())) == asked


def test_columns_of_other_names_are_kept_where_that_is_asked_for():
    source = written("p.jsonl", '{"prompt": "a", "id": 7, "Made  by": "x", "sold": true, "split": null}')
    (request,) = requests_of(source, keep_columns=True)
    assert (request.values, request.attributes) == ({"prompt": "a"}, {"id": "7", "Made by": "x", "sold": "true"})
    source = written("p.csv", "id,prompt,split\n7,a,\n")
    (request,) = requests_of(source, keep_columns=True)
    assert (request.values, request.attributes) == ({"prompt": "a"}, {"id": "7"})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"prompt": "a", "id": [1]}', "'id': is a list or an object"),
        ('{"prompt": "a", "id": "\\u0000"}', "'id': holds a NUL"),
        ('{"prompt": "a", "id": "\\ud800"}', "'id': holds a NUL or half of a surrogate pair"),
        ('{"prompt": "a", "": "b"}', "a key has no name"),
        ('{"prompt": "a", "id": 1, " id": 2}', "key 'id' stands there 2 times"),
        ('{"prompt": "a", "text": "b"}', "keys 'prompt' and 'text' all mean prompt"),
    ],
)
def test_what_cannot_be_kept_is_said(line, said):
    (problem,) = problems_of(written("p.jsonl", line), keep_columns=True)
    assert said in problem
