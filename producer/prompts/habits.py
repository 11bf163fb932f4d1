"""What people write into lists by habit, and what would then stand in every prompt: told of before anything is made."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from models.records.batches import PlannedJob
from producer.prompts.problems import visible

#: What a line of a list may look like, whole or at its start.
_HABITS = {
    "begin with a number, as in a list": re.compile(r"[0-9]{1,6}[.)]\s.*", re.DOTALL),
    "begin with a dash or a dot, as in a list": re.compile(r"[-*•–—]\s.*", re.DOTALL),  # noqa: RUF001 - what people type
    "are in quotes": re.compile(r"([\"'“„«‘]).*[\"'”“»’]", re.DOTALL),  # noqa: RUF001
}


def habits(jobs: Iterable[PlannedJob]) -> Iterator[str]:
    """Yield a sentence for each habit that the prompts show, with an example; a prompt of many pictures counts once."""
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    last: tuple[int | None, str] | None = None
    for job in jobs:
        line = (job.source_line, job.spec.prompt)
        if line == last:
            continue
        last = line
        for habit, pattern in _HABITS.items():
            if pattern.fullmatch(job.spec.prompt):
                counts[habit] += 1
                examples.setdefault(habit, job.spec.prompt)
    for habit, count in counts.items():
        yield f"{count:,} of the prompts {habit}, such as {visible(examples[habit])}: that is read as part of them"
