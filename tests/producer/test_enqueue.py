"""`producer enqueue` and `publish` against a real server: all or nothing, and nothing lost."""

import base64
import json

import pytest
from installation import Installation
from PIL import Image

from models.records.tables import Batch
from models.types.job import JobSpec
from models.types.message import DEFAULT_QUEUE
from producer.prompts.formats import EXAMPLES
from worker.attempt.png import encode_png, parameters_text
from worker.queue.app import KEY_PREFIX


def queued(server, nightshift: Installation) -> list[dict]:
    """Return the messages on the queue in the order in which a worker would take them."""
    database = int(nightshift.environment["NIGHTSHIFT_BROKER_URL"].rpartition("/")[2])
    with server.client(database) as client:
        keys = sorted(client.scan_iter(f"{KEY_PREFIX}{DEFAULT_QUEUE}*"))
        return [json.loads(entry) for key in keys for entry in reversed(client.lrange(key, 0, -1))]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("p.txt", b"", "p.txt: has no prompt in it"),
        ("p.txt", b"a\n\xff\n", "p.txt, line 2: byte 1 (0xff) is not UTF-8"),
        ("p.txt", b"\x00\x01\x02", "looks like a binary file"),
        ("p.txt", b"a" * 2**20, "line 1: prompt: is 1,048,576 characters long"),
        ("p.csv", b"title\na\n", "has no column 'prompt'"),
        ("p.csv", b"prompt,id\na,1\n", "p.csv, line 1: unknown column 'id'"),
        ("p.txt", b"--steps 10\n", "p.txt, line 1: has no prompt"),
        ("p.jsonl", b'{"prompt": "a"}\n{"prompt"\n', "p.jsonl, line 2: broken JSON"),
        ("p.csv", b"prompt,steps,width,seed\na,0,512,1\nb,25,13,1\nc,25,512,9223372036854775808\n", "line 4: seed"),
    ],
)
def test_a_bad_file_queues_nothing(nightshift: Installation, server, tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    done = nightshift.producer("enqueue", "--prompts", tmp_path / name)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert nightshift.rows(Batch) == []
    assert queued(server, nightshift) == []


@pytest.mark.parametrize(
    ("flag", "value"), [("steps", "0"), ("steps", "10000"), ("width", "13"), ("guidance", "nan"), ("seed", 2**63)]
)
def test_a_bad_flag_is_named(nightshift: Installation, flag, value):
    done = nightshift.producer("enqueue", "--prompt", "a shoe", f"--{flag}", value)
    assert done.returncode == 2
    assert f"producer: --{flag}: " in done.stderr
    assert nightshift.rows(Batch) == []


def test_a_byte_order_mark_and_windows_line_ends_are_fine(nightshift: Installation, tmp_path):
    (tmp_path / "p.txt").write_bytes("\ufeffa shoe\r\n# no\r\n\r\na böot\r\n".encode())
    nightshift.enqueue("--prompts", tmp_path / "p.txt")
    assert [(job.prompt, job.source_line) for job in nightshift.jobs()] == [("a shoe", 1), ("a böot", 4)]


def test_standard_input_count_and_seeds(nightshift: Installation, server):
    done = nightshift.producer("enqueue", "--prompts", "-", "--count", "3", "--seed", "7", stdin="a\nb\n")
    assert done.returncode == 0
    assert [(job.prompt, job.seed) for job in nightshift.jobs()] == [(p, s) for p in "ab" for s in (7, 8, 9)]
    assert len(queued(server, nightshift)) == 6


def test_a_drawn_seed_is_recorded(nightshift: Installation):
    nightshift.enqueue("--prompt", "a", "--prompt", "a")
    first, second = (job.seed for job in nightshift.jobs())
    assert first != second


def test_a_higher_priority_is_taken_first(nightshift: Installation, server):
    for name, priority in (("late", 9), ("usual", 5), ("first", 0)):
        nightshift.enqueue("--prompt", name, "--priority", priority)
    carried = [json.loads(base64.b64decode(message["body"]))[0][0] for message in queued(server, nightshift)]
    prompts = {job.id: job.prompt for job in nightshift.jobs()}
    assert [prompts[message["job"]] for message in carried] == ["first", "usual", "late"]
    # A job's row says the rest, and a message of some hundred bytes waits in Redis.
    assert {tuple(message) for message in carried} == {("version", "job", "batch")}


def test_a_dry_run_writes_nothing(nightshift: Installation, server):
    done = nightshift.producer("enqueue", "--prompt", "a shoe", "--count", "9", "--dry-run")
    assert done.returncode == 0
    assert "9 jobs would be queued" in done.stdout
    assert "not measured" in done.stdout
    assert nightshift.rows(Batch) == []
    assert queued(server, nightshift) == []


def test_a_name_is_taken_once(nightshift: Installation):
    nightshift.enqueue("--prompt", "a", "--batch", "red")
    done = nightshift.producer("enqueue", "--prompt", "b", "--batch", "red")
    assert done.returncode == 2
    assert "a batch of that name is there already" in done.stderr
    assert len(nightshift.jobs()) == 1


def test_what_is_there_already_is_not_made_twice_unless_that_is_said(nightshift: Installation, server):
    command = ("enqueue", "--prompt", "a", "--count", "3")
    assert nightshift.producer(*command).stdout.startswith("prompt-1: 3 jobs queued")
    again = nightshift.producer(*command)
    assert again.returncode == 0
    assert again.stdout == (
        "prompt-1: asks for the same already (3 queued), so nothing was added; --new makes another batch\n"
    )
    assert "prompt-1 asks for the same already (3 queued)" in nightshift.producer(*command, "--dry-run").stdout
    assert len(queued(server, nightshift)) == len(nightshift.jobs()) == 3

    assert nightshift.producer(*command, "--new").stdout.startswith("prompt-2: 3 jobs queued")
    assert nightshift.producer(*command, "--seed", "1").stdout.startswith("prompt-3: 3 jobs queued")
    assert len(queued(server, nightshift)) == len(nightshift.jobs()) == 9


def test_what_is_there_already_is_published_where_it_was_not(new_server, installation):
    server = new_server()
    with installation(server.url(1)) as nightshift:
        assert nightshift.producer("enqueue", "--prompt", "a").returncode == 1
        server.start()
        assert nightshift.producer("enqueue", "--prompt", "a").returncode == 0
        assert len(queued(server, nightshift)) == len(nightshift.jobs()) == 1


def test_a_dry_run_counts_what_stands_there_twice(nightshift: Installation, tmp_path):
    (tmp_path / "p.csv").write_text("prompt,seed\na,1\nb,1\na,1\na,2\na,1\n")
    assert (
        "duplicates (same prompt, seed and settings): 2\n"
        in nightshift.producer("enqueue", "--prompts", tmp_path / "p.csv", "--dry-run").stdout
    )
    assert "settings): 0\n" in nightshift.producer("enqueue", "--prompt", "a", "--prompt", "a", "--dry-run").stdout, (
        "their seeds are drawn"
    )


HOSTILE = "red\x1b]0;owned\x07 \u202eshoe\x9b31m"


def test_no_screen_obeys_a_prompt(nightshift: Installation):
    done = nightshift.producer("enqueue", "--prompt", HOSTILE, "--prompt", HOSTILE + " word" * 90, "--dry-run")
    assert done.returncode == 0
    assert r"red\x1b]0;owned\x07 \u202eshoe\x9b31m" in done.stdout
    for screen in (done.stdout, done.stderr):
        assert not {c for c in screen if not c.isprintable()} - {"\n"}
    nightshift.enqueue("--prompt", HOSTILE)
    assert nightshift.jobs()[0].prompt == HOSTILE


def test_what_can_never_be_a_checkpoint_is_refused(nightshift: Installation, tmp_path):
    (tmp_path / "notes.txt").write_text("no weights")
    (tmp_path / "empty").mkdir()
    for name, said in (("notes.txt", "only .safetensors files are loaded"), ("empty", "has a model_index.json")):
        done = nightshift.producer("enqueue", "--prompt", "a", "--checkpoint", tmp_path / name)
        assert done.returncode == 2
        assert done.stderr.startswith("producer: --checkpoint: ")
        assert said in done.stderr
    assert nightshift.rows(Batch) == []


def test_a_checkpoint_that_is_not_here_is_said(nightshift: Installation, tmp_path):
    done = nightshift.producer("enqueue", "--prompt", "a", "--checkpoint", "nobody/nothing")
    assert done.returncode == 0
    assert "producer: warning: checkpoint nobody/nothing is not on this machine" in done.stderr
    assert "`producer download nobody/nothing` fetches it" in done.stderr
    assert nightshift.producer("enqueue", "--prompt", "a").stderr == ""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_each_example_of_the_formats_can_be_enqueued(nightshift: Installation, example):
    shown = nightshift.producer("enqueue", "--help-format").stdout
    assert example.title in shown
    assert f"producer enqueue {example.arguments[0]} {example.arguments[1]}" in shown
    for name, content in example.files.items():
        assert "".join(f"    {line}\n" for line in content.splitlines()) in shown
        (nightshift.folder / "cwd" / name).write_text(content)
    for name in example.needs:
        spec = JobSpec(
            prompt="a", seed=7, steps=4, guidance=7.5, width=128, height=128, scheduler="DDIM", checkpoint="demo"
        )
        (nightshift.folder / "cwd" / name).write_bytes(
            encode_png(Image.new("RGB", (8, 8)), parameters_text(spec, "demo", "sha256:00", "1"))
        )
    done = nightshift.producer("enqueue", *example.arguments)
    assert done.returncode == 0, done.stderr
    assert nightshift.jobs()


def test_what_a_template_chose_is_kept(nightshift: Installation, tmp_path):
    (tmp_path / "p.txt").write_text("${colour=!{black|red}}${colour} {boots|heels}, __season__\n")
    (tmp_path / "season.txt").write_text("winter\nsummer\n")
    command = ("enqueue", "--prompts", tmp_path / "p.txt", "--template", "combinatorial")
    shown = nightshift.producer(*command, "--dry-run").stdout
    assert "8 jobs would be queued" in shown
    assert "    colour = black, choice 1 = boots, season = winter\n" in shown
    assert nightshift.producer(*command).returncode == 0
    chosen = [(job.prompt, job.source_line, job.attributes) for job in nightshift.jobs()]
    assert chosen == [
        (f"{colour} {kind}, {season}", 1, {"colour": colour, "choice 1": kind, "season": season})
        for colour in ("black", "red")
        for kind in ("boots", "heels")
        for season in ("winter", "summer")
    ]


def test_prompts_that_were_drawn_are_known_again(nightshift: Installation):
    command = ("enqueue", "--prompt", "a {red|blue|green|grey} {shoe|boot}", "--template", "random", "--limit", "9")
    assert nightshift.producer(*command).stdout.startswith("prompt-1: 9 jobs queued")
    assert nightshift.producer(*command).stdout.startswith("prompt-1: asks for the same already")
    assert nightshift.producer(*command[:-1], "8").stdout.startswith("prompt-2: 8 jobs queued")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--prompt", "a {b", "--template", "combinatorial"), "producer: --prompt: column 3, '{b': the brace is not"),
        (("--prompt", "__x__", "--template", "combinatorial"), "producer: --prompt: there is no wildcard 'x'"),
        (("--prompt", "{a|b}", "--template", "random"), "Error: --template random has no end"),
        (("--prompt", "{a|b}", "--limit", "3"), "Error: --limit and --wildcards are for templates"),
        (("--from", "nope.png"), "producer: nope.png: there is no such file"),
    ],
)
def test_what_cannot_be_planned_is_one_line(nightshift: Installation, arguments, said):
    done = nightshift.producer("enqueue", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert nightshift.rows(Batch) == []


def test_braces_are_text_without_template(nightshift: Installation):
    nightshift.enqueue("--prompt", "a {red|blue} shoe, __season__, 100% cotton")
    (job,) = nightshift.jobs()
    assert (job.prompt, job.attributes) == ("a {red|blue} shoe, __season__, 100% cotton", None)


def test_while_redis_is_down_jobs_are_recorded_and_published_later_once(new_server, installation):
    server = new_server()
    with installation(server.url(1)) as nightshift:
        done = nightshift.producer("enqueue", "--prompt", "a", "--count", "3")
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"producer: Redis at {server.url(1)} cannot be used")
        assert "producer publish" in line
        assert [job.published_at for job in nightshift.jobs()] == [None] * 3
        assert "3 queued jobs are not on the queue" in nightshift.producer("status").stdout

        server.start()
        assert nightshift.producer("publish").stdout == "3 jobs published\n"
        assert nightshift.producer("publish").stdout == "0 jobs published\n"
        assert len(queued(server, nightshift)) == 3


def test_the_next_enqueue_publishes_what_was_left(new_server, installation):
    server = new_server()
    with installation(server.url(1)) as nightshift:
        nightshift.producer("enqueue", "--prompt", "a", "--count", "2")
        server.start()
        nightshift.enqueue("--prompt", "b")
        assert len(queued(server, nightshift)) == 3


def test_a_wrong_password_is_one_line_without_it(new_server, installation):
    server = new_server("right")
    server.start()
    with installation(f"redis://:wr0ng@127.0.0.1:{server.port}/0") as nightshift:
        done = nightshift.producer("enqueue", "--prompt", "a")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "does not let us in" in line
    assert "NIGHTSHIFT_BROKER_URL=redis://:PASSWORD@HOST:PORT/0" in line
    assert "wr0ng" not in done.stderr + done.stdout


@pytest.mark.slow
def test_twenty_thousand_jobs(nightshift: Installation, server, tmp_path):
    (tmp_path / "many.txt").write_text("".join(f"shoe {n}\n" for n in range(20_000)))
    nightshift.enqueue("--prompts", tmp_path / "many.txt")
    assert len(queued(server, nightshift)) == 20_000
    (row,) = nightshift.read_json("status")["batches"]
    assert (row["counts"]["queued"], row["unpublished"]) == (20_000, 0)


def test_cancel_and_retry(nightshift: Installation):
    batch = nightshift.enqueue("--prompt", "a", "--count", "3")
    assert nightshift.producer("cancel", "--job", nightshift.jobs()[0].id).stdout.startswith("1 queued jobs cancelled")
    assert nightshift.producer("cancel", batch).stdout.startswith("2 queued jobs cancelled")
    assert nightshift.producer("retry").stdout == f"{batch}: no failed or quarantined jobs\n"
    assert nightshift.producer("retry", "--cancelled").stdout == f"{batch}: 3 jobs queued\n"


def test_syntax_that_is_not_understood_is_told_of_with_its_line(nightshift: Installation, tmp_path):
    (tmp_path / "p.txt").write_text("a (red:1.3) shoe\na AND b <hypernet:x:1>\n[red:blue:0.5] shoe\n")
    done = nightshift.producer("enqueue", "--prompts", tmp_path / "p.txt", "--dry-run")
    assert done.returncode == 0
    assert "prompts with syntax that is taken as words: 2" in done.stdout
    first, second = done.stderr.splitlines()
    assert first.startswith("producer: warning: line 2: taken as words, not understood: AND, which would mix")
    assert "a network, as in <hypernet:name:1>" in first
    assert "line 3: taken as words, not understood: words that would change over the steps" in second
    plain = nightshift.producer(
        "enqueue", "--prompts", tmp_path / "p.txt", "--dry-run", NIGHTSHIFT_PROMPT_WEIGHTS="false"
    )
    assert (plain.stderr, "taken as words" in plain.stdout) == ("", False)
