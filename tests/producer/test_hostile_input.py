"""Whatever the bytes of a file of prompts: taken, or refused with a line a problem, and never a traceback."""

import json

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from models.settings import load_settings
from producer.cli import main
from producer.prompts.keys import ALIASES, KEYS

NAMES = st.sampled_from([*KEYS, *ALIASES, "id", "colour", "", "#", "Prompt ", "sp lit"])
TEXTS = st.text(max_size=12) | st.sampled_from(["", " ", "a shoe", "{a|b}", "__x__", "1e999", "-1", "nan", "--steps 1"])
NUMBERS = st.integers() | st.floats() | st.sampled_from([0, 1, 8, 64, 2**63, True])
VALUES = st.recursive(st.none() | TEXTS | NUMBERS, lambda inner: st.lists(inner, max_size=2), max_leaves=3)
SIGNS = st.sampled_from(
    [
        *"{}|$_,;\t#\"'\n\r:-()[]\\",
        "${a=!{b|c}}",
        "${a}",
        "__a__",
        "{2$$",
        "::",
        "--prompt ",
        "--n_iter 9",
        "\ufeff",
        "a",
    ]
)
LINES = st.lists(SIGNS | st.text(max_size=4), max_size=12).map("".join)
TABLES = st.tuples(
    st.lists(NAMES, min_size=1, max_size=4), st.lists(st.lists(TEXTS, max_size=5), max_size=4), st.sampled_from(",;\t")
).map(lambda table: "\n".join(table[2].join(row) for row in (table[0], *table[1])))
OBJECTS = st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=4).map(
    lambda records: "\n".join(json.dumps(record) for record in records)
)
CONTENTS = st.binary(max_size=60) | (LINES | TABLES | OBJECTS).map(lambda text: text.encode(errors="surrogatepass"))


@pytest.fixture(scope="module")
def enqueue(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    load_settings.cache_clear()
    environment = {"NIGHTSHIFT_DATA_DIR": str(folder / "data"), "NIGHTSHIFT_CHECKPOINT": "demo"}

    def run(name, content, *options):
        file = folder / name
        file.write_bytes(content)
        return CliRunner().invoke(main, ["enqueue", "--prompts", str(file), "--dry-run", *options], env=environment)

    yield run
    load_settings.cache_clear()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["p.txt", "p.csv", "p.tsv", "p.jsonl", "p.ndjson", "p.json", "p"]),
    CONTENTS,
    st.sampled_from([(), ("--keep-columns",), ("--template", "combinatorial", "--limit", "3")]),
)
@example("p.txt", b"--steps 10\n", ())
@example("p.csv", b"prompt,id\na shoe,1\n", ())
@example("p.csv", b"prompt,steps\n,5\n", ())
@example("p.jsonl", b'{"prompt": "a", "kind": "b"}\n{"steps": 10}\n', ())
def test_any_file_is_taken_or_refused_with_a_line_a_problem(enqueue, name, content, options):
    done = enqueue(name, content, *options)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code in (0, 2), done.output
    if done.exit_code == 2:
        lines = done.stderr.splitlines()
        assert lines
        assert all(line.startswith("producer: ") for line in lines), lines
