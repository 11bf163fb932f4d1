import errno
import io
import json
import os
import sys
import threading
from pathlib import Path

import pytest
from prompt_files import problems_of, read, requests_of, written

from models.types.job import MAX_PROMPT
from producer.prompts.keys import KEYS
from producer.prompts.problems import Problems
from producer.prompts.reading import read_requests
from producer.prompts.text_file import MAX_BYTES

KNOWN = f"known are {', '.join(KEYS)}; --keep-columns keeps others as attributes of the jobs"
QUOTING = "quote a cell that has commas or quotes in it, and double its quotes"


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def short(value):
    return ascii(value)[:40]


TEXT = [
    ("a cat\na dog\n", [(1, "a cat"), (2, "a dog")]),
    ("a cat", [(1, "a cat")]),
    ("\n  \n# remark\n  # another\n  a cat #1  \n", [(5, "a cat #1")]),
    ("a cat\r\na dog\r\n", [(1, "a cat"), (2, "a dog")]),
    ("a cat\ra dog", [(1, "a cat"), (2, "a dog")]),
    (b"\xef\xbb\xbfa cat\n", [(1, "a cat")]),
    (b"\xef\xbb\xbf# remark\na cat\n", [(2, "a cat")]),
    # Only line ends end a line, not all that str.splitlines takes for one.
    ("a\u2028b\x0bc\x85d\n", [(1, "a\u2028b\x0bc\x85d")]),
    ("un été à Zürich 日本 🐈\n", [(1, "un été à Zürich 日本 🐈")]),
    ("x" * MAX_PROMPT, [(1, "x" * MAX_PROMPT)]),
]


@pytest.mark.parametrize(("content", "prompts"), TEXT, ids=short)
def test_text_is_a_prompt_a_line(content, prompts):
    assert read("p.txt", content) == [(line, {"prompt": prompt}) for line, prompt in prompts]


CSV = [
    ("prompt\na cat\n", [(2, {"prompt": "a cat"})]),
    (
        'Prompt , NEGATIVE-prompt,Seed\n"a cat, wet",dog,7\n',
        [(2, {"prompt": "a cat, wet", "negative_prompt": "dog", "seed": "7"})],
    ),
    ("negative prompt,prompt\n,a cat\n", [(2, {"prompt": "a cat"})]),
    (
        'prompt,seed\n"a\ncat",1\na dog,2\n',
        [(2, {"prompt": "a\ncat", "seed": "1"}), (4, {"prompt": "a dog", "seed": "2"})],
    ),
    ('prompt\n"a ""big"" cat"\na "big" dog\n', [(2, {"prompt": 'a "big" cat'}), (3, {"prompt": 'a "big" dog'})]),
    ("# made by hand\n\nprompt,steps\n\n,\n# one,\na cat\n", [(6, {"prompt": "# one"}), (7, {"prompt": "a cat"})]),
    ("prompt;seed\na cat, wet;1\n", [(2, {"prompt": "a cat, wet", "seed": "1"})]),
    ("seed\tcaption\n1\ta cat, wet\n", [(2, {"prompt": "a cat, wet", "seed": "1"})]),
    ("prompt,,\na cat,,\n", [(2, {"prompt": "a cat"})]),
    ('prompt\n"#1 cat"\n"a\n# b"\n', [(2, {"prompt": "#1 cat"}), (3, {"prompt": "a\n# b"})]),
    ('seed,prompt\n1, "a cat, wet"\n', [(2, {"prompt": "a cat, wet", "seed": "1"})]),
    (b'\xef\xbb\xbf"prompt","seed"\r\n"a cat","3"\r\n', [(2, {"prompt": "a cat", "seed": "3"})]),
    (",".join(KEYS) + "\n" + ",".join(KEYS), [(2, {key: key for key in KEYS})]),
]


@pytest.mark.parametrize(("content", "requests"), CSV, ids=short)
def test_csv_names_only_the_cells_that_are_filled(content, requests):
    assert read("p.csv", content) == requests


JSON = [
    ('{"prompt": "a cat"}\n', [(1, {"prompt": "a cat"})]),
    (
        '\n# remark\n {"prompt": " a cat ", "negative-prompt": "", "Seed": 7, "guidance": 7.5, "steps": null}\r\n',
        [(3, {"prompt": "a cat", "negative_prompt": "", "seed": 7, "guidance": 7.5})],
    ),
    (b'\xef\xbb\xbf{"prompt": "a\\ncat", "steps": "20"}', [(1, {"prompt": "a\ncat", "steps": "20"})]),
]


@pytest.mark.parametrize("name", ["p.jsonl", "p.ndjson", "P.JSONL"])
@pytest.mark.parametrize(("content", "requests"), JSON, ids=short)
def test_json_is_an_object_a_line(name, content, requests):
    assert read(name, content) == requests


BAD = [
    ("e.txt", "", ["e.txt: has no prompt in it; write one a line"]),
    ("e.txt", "\n# only a remark\n", ["e.txt: has no prompt in it; write one a line"]),
    ("e.csv", "prompt,seed\n", ["e.csv: has no prompt in it; write one a line"]),
    ("e.jsonl", "\n", ["e.jsonl: has no prompt in it; write one a line"]),
    (
        "l.txt",
        "a cat\ncafé é\nnaïve\n".encode("latin-1"),
        [
            "l.txt, line 2: byte 4 (0xe9) is not UTF-8; save the file as UTF-8",
            "l.txt, line 3: byte 3 (0xef) is not UTF-8; save the file as UTF-8",
        ],
    ),
    ("l.txt", b"\xc3\xa9\xc3", ["l.txt, line 1: byte 3 (0xc3) is not UTF-8; save the file as UTF-8"]),
    (
        "l.csv",
        b"prompt,steps\ncaf\xe9,1,2\n",
        [
            "l.csv, line 2: byte 4 (0xe9) is not UTF-8; save the file as UTF-8",
            "l.csv, line 2: has 3 cells, the header 2; quote a cell that has commas in it",
        ],
    ),
    ("u.txt", "a cat".encode("utf-16"), ["u.txt: is UTF-16 text; save it as UTF-8"]),
    (
        "b.csv",
        b"PK\x03\x04\na\x00b",
        ["b.csv: looks like a binary file, line 2 has a NUL byte; name a text file"],
    ),
    (
        "t.txt",
        "a cat\n" + "x" * (MAX_PROMPT + 1),
        ["t.txt, line 2: prompt: is 10,001 characters long, the most is 10,000; shorten it"],
    ),
    (
        "t.csv",
        "prompt\n" + "x" * 1_000_000,
        ["t.csv, line 2: prompt: is 1,000,000 characters long, the most is 10,000; shorten it"],
    ),
    (
        "c.csv",
        "title;seed\na cat;1\n",
        ["c.csv, line 1: has no column 'prompt'; the header's columns, split at commas, are 'title;seed'"],
    ),
    (
        "c.csv",
        "\n\x1b," + "x" * 100 + "\n",
        [rf"c.csv, line 2: has no column 'prompt'; the header's columns, split at commas, are '\x1b', '{'x' * 59}…"],
    ),
    (
        "c.csv",
        "prompt,colour,Seed,seed\na cat,red,1,\n",
        [
            f"c.csv, line 1: unknown column 'colour'; {KNOWN}",
            "c.csv, line 1: columns 'Seed' and 'seed' all mean seed; keep one",
        ],
    ),
    (
        "c.csv",
        'prompt,seed\n"a\ncat",1\na cat, wet, 2\n,3\n',
        [
            "c.csv, line 4: has 3 cells, the header 2; quote a cell that has commas in it",
            "c.csv, line 5: has no prompt; write one, or take the line out",
        ],
    ),
    (
        "q.csv",
        'prompt\n"a" cat\na dog\nx,y\n"never closed\nb\n',
        [
            f"q.csv, line 2: broken CSV: ',' expected after '\"'; {QUOTING}",
            "q.csv, line 4: has 2 cells, the header 1; quote a cell that has commas in it",
            f"q.csv, line 5: broken CSV: unexpected end of data; {QUOTING}",
        ],
    ),
    ("q.csv", '"prompt\na cat\n', [f"q.csv, line 1: broken CSV: unexpected end of data; {QUOTING}"]),
    (
        "j.jsonl",
        '{"prompt": "a cat"}\n{"prompt": "a cat"\n{"prompt": }\n{"prompt": "a"} {}\n',
        [
            "j.jsonl, line 2: broken JSON: Expecting ',' delimiter (column 19); write one object a line",
            "j.jsonl, line 3: broken JSON: Expecting value (column 12); write one object a line",
            "j.jsonl, line 4: broken JSON: Extra data (column 17); write one object a line",
        ],
    ),
    (
        "j.jsonl",
        "[" * 100_000 + "\n" + "9" * 5_000 + "\n",
        [
            f"j.jsonl, line {line}: broken JSON: a number is too long or brackets are too deep; write one object a line"
            for line in (1, 2)
        ],
    ),
    (
        "j.jsonl",
        '["a cat"]\n"a cat"\nnull\n[]\n',
        [f'j.jsonl, line {line}: is not a JSON object; write {{"prompt": "…"}}' for line in (1, 2, 3, 4)],
    ),
    (
        "j.jsonl",
        '{"prompt": "a", "colour\\u001b[31m": 1, "seed": 1, "seed": 2, "negative-prompt": "", "negative_prompt": ""}\n',
        [
            rf"j.jsonl, line 1: unknown key 'colour\x1b[31m'; {KNOWN}",
            "j.jsonl, line 1: key 'seed' stands there 2 times; keep one",
            "j.jsonl, line 1: keys 'negative-prompt' and 'negative_prompt' all mean negative_prompt; keep one",
        ],
    ),
    (
        "j.jsonl",
        '{}\n{"prompt": "  "}\n{"prompt": null}\n',
        [f"j.jsonl, line {line}: has no prompt; write one, or take the line out" for line in (1, 2, 3)],
    ),
]


@pytest.mark.parametrize(("name", "content", "problems"), BAD, ids=short)
def test_every_problem_is_named_at_once(name, content, problems):
    assert problems_of(written(name, content)) == problems


def test_a_request_without_a_prompt_comes_with_its_other_values():
    problems = Problems()
    (request,) = read_requests(written("p.csv", "prompt,steps\n,0\n"), problems)
    assert request.values == {"steps": "0"}
    assert problems


def test_missing_file():
    assert problems_of("gone.txt") == ["gone.txt: there is no such file"]


def test_folder():
    Path("folder.csv").mkdir()
    assert problems_of("folder.csv") == ["folder.csv: is a folder; name a file in it"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file():
    Path(written("locked.txt", "a cat\n")).chmod(0)
    assert problems_of("locked.txt") == ["locked.txt: may not be read by you; change its permissions"]


def test_name_that_the_file_system_refuses():
    name = "x" * 300
    assert problems_of(name) == [f"{name}: cannot be read: {os.strerror(errno.ENAMETOOLONG)}"]


def test_control_characters_of_a_file_name_are_shown_not_sent():
    assert problems_of("a\x1b[2J\nb.txt") == [r"'a\x1b[2J\nb.txt': there is no such file"]


def test_file_that_is_too_large():
    with Path("large.txt").open("wb") as file:
        for _ in range(MAX_BYTES // 2**20 + 1):
            file.write(b"a cat, a dog, a bird and a cow.\n" * 2**15)
    assert problems_of("large.txt") == ["large.txt: is larger than 256 MiB; split it"]


def test_standard_input_that_is_too_large(monkeypatch):
    monkeypatch.setattr("producer.prompts.text_file.MAX_BYTES", 2**20)
    stdin(monkeypatch, b"a cat\n" * 2**18)
    assert problems_of("-") == ["standard input: is larger than 1 MiB; split it"]


def test_the_first_prompts_are_there_before_the_last_are_written():
    ours, theirs = os.pipe()
    written_first, go_on = b"a cat\n" * 50_000, threading.Event()

    def write():
        with os.fdopen(theirs, "wb") as pipe:
            pipe.write(written_first)
            pipe.flush()
            go_on.wait()
            pipe.write(b"a dog\n")

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    requests = read_requests(f"/dev/fd/{ours}", Problems())
    assert next(requests).values == {"prompt": "a cat"}
    assert not go_on.is_set()
    go_on.set()
    *_, last = requests
    assert (last.line, last.values) == (50_001, {"prompt": "a dog"})
    writer.join()
    os.close(ours)


def test_endless_file_is_given_up():
    assert problems_of("/dev/zero") == ["/dev/zero: looks like a binary file, line 1 has a NUL byte; name a text file"]


def test_of_thousands_of_problems_twenty_are_shown():
    problems = problems_of(written("many.jsonl", "{\n" * 3_021))
    assert len(problems) == 21
    assert problems[19].startswith("many.jsonl, line 20: broken JSON")
    assert problems[20] == "… and 3,001 more"


def test_twenty_problems_are_all_shown():
    problems = problems_of(written("many.jsonl", "{\n" * 20))
    assert [problem.split(":")[0] for problem in problems] == [f"many.jsonl, line {line}" for line in range(1, 21)]


def stdin(monkeypatch, data):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_standard_input_is_text(monkeypatch):
    stdin(monkeypatch, b"\xef\xbb\xbf# remark\r\nun \xc3\xa9t\xc3\xa9\r\n")
    assert [(request.line, request.values) for request in requests_of("-")] == [(2, {"prompt": "un été"})]


def test_problems_of_standard_input_name_it(monkeypatch):
    stdin(monkeypatch, b"a cat\n\xff\n")
    assert problems_of("-") == ["standard input, line 2: byte 1 (0xff) is not UTF-8; save the file as UTF-8"]


def test_closed_standard_input_has_no_prompt(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert problems_of("-") == ["standard input: has no prompt in it; write one a line"]


LARGE = {
    "p.txt": "a cat, wet\n",
    "p.csv": '"a cat, wet",1\n',
    "p.jsonl": json.dumps({"prompt": "a cat, wet", "seed": 1}) + "\n",
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", LARGE)
def test_a_hundred_thousand_lines(name):
    requests = list(requests_of(written(name, "prompt,seed\n" * (name == "p.csv") + LARGE[name] * 100_000)))
    assert len(requests) == 100_000
    assert requests[-1].line == 100_000 + (name == "p.csv")
    assert requests[-1].values["prompt"] == "a cat, wet"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["p.txt", "p.csv", "p.jsonl"])
def test_lines_of_a_megabyte_are_never_shown(name):
    long = "x" * 1_000_000
    start, line = {"p.txt": ("", long), "p.csv": ("prompt\n", long), "p.jsonl": ("", f'{{"{long}": "{long}"}}')}[name]
    problems = problems_of(written(name, start + f"{line}\n" * 50))
    assert len(problems) == 21
    assert max(map(len, problems)) < 300
