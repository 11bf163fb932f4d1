"""No text makes any of the product's regular expressions slow: they are tried with texts that grow."""

import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest

import checks
import models
import producer
import worker

#: What makes patterns go back and forth: runs of what they repeat, without the end that they look for.
RUNS = (
    *(" ", "a", "1", "a ", "1.", "-", ".", "a.", "a-", "a/", ":", "://", "a:", "a@", ":@", '"', '\\"', "(", "{", "{ "),
    *("|", "_", "__", "<", "--", "--a", "\n", "\t ", "é", "9 ", "password=", "&", "a,", ", "),
)
LENGTH = 20_000
#: They are programs, which begin to work when they are imported.
PROGRAMS = ("__main__", "worker.celery", "worker.care.watches.watchdog_process")
#: Nobody looks for these within a text: each is held against one place of it.
AT_THE_START = (
    "models.checkpoints._HUB_ID",
    "producer.prompts.earlier_pictures.a1111._QUOTED",
    "producer.prompts.earlier_pictures.others._SIZE",
)


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    for package in (models, checks, producer, worker):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith(PROGRAMS):
                continue
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
                    yield f"{module.name}.{name}", value


PATTERNS = dict(patterns())


def test_there_are_patterns_to_try():
    assert len(PATTERNS) > 8


@pytest.mark.timeout(15)
@pytest.mark.parametrize("name", PATTERNS)
def test_no_run_of_characters_makes_it_slow(name):
    pattern = PATTERNS[name]
    for run in RUNS:
        long = run * (LENGTH // len(run))
        for text in (long, f"redis://{long}", f"a{long}!"):
            pattern.match(text)
            pattern.fullmatch(text)
            for _ in () if name in AT_THE_START else pattern.finditer(text):
                continue
