"""The program around the commands: help, errors in one line, exit statuses, what is imported."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from installation import Installation
from programs import PRODUCER

from producer import commands
from producer.cli import COMMANDS

HEAVY = ("torch", "diffusers", "transformers")


def test_the_list_of_commands_is_what_there_is():
    folder = Path(commands.__path__[0])
    found = {
        path: len(re.findall(r"^@click\.(?:command|group)\b", path.read_text(), re.MULTILINE))
        for path in folder.rglob("*.py")
    }
    there = {".".join(path.relative_to(folder).with_suffix("").parts) for path, count in found.items() if count}
    assert {place.partition(":")[0] for place, _ in COMMANDS.values()} == there
    assert sum(found.values()) == len(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(nightshift: Installation, name: str):
    done = nightshift.producer(name, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: producer {name} ")
    assert len(done.stdout.splitlines()) > 4


@pytest.mark.parametrize(
    "arguments",
    [("status",), ("enqueue", "--prompt", "a shoe", "--dry-run"), ("estimate", "--images", "9")],
)
def test_no_command_imports_torch(nightshift: Installation, arguments: tuple[str, ...]):
    code = (
        "import sys\nfrom producer.cli import main\n"
        f"main({arguments!r}, standalone_mode=False)\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=nightshift.environment,
        capture_output=True,
        text=True,
        cwd=nightshift.folder,
    )
    assert done.returncode == 0, done.stderr
    assert "HEAVY []" in done.stdout


ARGUMENTS = {
    "enqueue": ("--prompt", "a shoe"),
    "run": ("--prompt", "a shoe"),
    "estimate": ("--images", "9"),
    "bench": ("here.json",),
    "train": ("olive", "--data", "there"),
    "cancel": ("night",),
    "accept": ("1",),
    "show": ("1",),
    "export": ("night", "there"),
    "reject": ("1",),
    "service": ("status",),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_names_a_wrong_setting_in_one_line(nightshift: Installation, name: str):
    done = nightshift.producer(name, *ARGUMENTS.get(name, ()), NIGHTSHIFT_DEVICE="tpu")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("producer: NIGHTSHIFT_DEVICE='tpu': ")


def test_help_itself_imports_neither_torch_nor_the_database_nor_settings(nightshift: Installation):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(PRODUCER), "--help"],
        env=nightshift.environment,
        capture_output=True,
        text=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert {"producer.cli", "click"} <= imported
    assert imported.isdisjoint({*HEAVY, "sqlalchemy", "celery", "rich", "pydantic"})


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("status", "nope"), 2, "producer: there is no batch yet"),
        (("report",), 2, "producer: there is no batch yet"),
        (("nonsense",), 2, "Error: No such command 'nonsense'"),
        (("enqueue", "--nonsense"), 2, "Error: No such option"),
        (("enqueue",), 2, "Error: say what to make"),
        (("enqueue", "--prompts", "nope.txt"), 2, "producer: nope.txt: there is no such file"),
        (("enqueue", "--prompt", "x", "--batch", "../x"), 2, "producer: --batch '../x': use up to 64"),
        (("enqueue", "--prompt", "x", "--target", "3"), 2, "producer: --target counts accepted pictures: add --checks"),
        (("enqueue", "--prompt", "x", "--target", "0", "--checks", "none"), 2, "0 is not in the range 1<=x"),
        (("enqueue", "--prompt", "x", "--replacements", "3"), 2, "producer: --replacements is for a --target"),
        (("run", "--prompt", "x", "--checks", "beauty"), 2, "producer: --checks: no check is called 'beauty'"),
        (("enqueue", "--prompt", "x", "--checks", "fill.least=x"), 2, "producer: --checks: fill.least: "),
        (("accept",), 2, "Error: Missing argument 'JOB"),
        (("reject", "boots"), 2, "Error: Invalid value for 'JOB"),
        (("accept", "7"), 2, "producer: there is no job 7"),
        (("cancel",), 2, "Error: name a BATCH or a --job"),
        (("cancel", "--job", "7"), 2, "producer: there is no job 7"),
        (("report", "--json", "--csv"), 2, "Error: BATCH and --all exclude"),
    ],
)
def test_wrong_use_is_one_line_and_status_two(nightshift: Installation, arguments, status, said):
    done = nightshift.producer(*arguments)
    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_setting_that_cannot_be_used_is_named(nightshift: Installation):
    done = nightshift.producer("status", NIGHTSHIFT_DEVICE="tpu", NIGHTSHIFT_WARMUP_STEPS="0")
    assert done.returncode == 2
    assert "NIGHTSHIFT_DEVICE='tpu'" in done.stderr
    assert "NIGHTSHIFT_WARMUP_STEPS='0'" in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error(nightshift: Installation):
    nightshift.enqueue("--prompt", "a shoe")
    done = subprocess.run(
        ["bash", "-c", f"{PRODUCER} report --csv | head -n 1; exit ${{PIPESTATUS[0]}}"],
        env=nightshift.environment | {"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "figure,value\n"
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr
