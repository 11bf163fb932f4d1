"""What prompts have of A1111's syntax that is not understood here."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from models.records.batches import PlannedJob
from models.types.prompt_syntax import left_as_words


def syntax_left(jobs: Iterable[PlannedJob]) -> Iterator[tuple[int | None, str]]:
    """Yield the line of each prompt that has some, in it or in its negative prompt, and what that is."""
    # The jobs of one request follow one another.
    for (line, prompt, negative), _ in groupby(
        jobs, key=lambda job: (job.source_line, job.spec.prompt, job.spec.negative_prompt)
    ):
        if left := list(dict.fromkeys([*left_as_words(prompt), *left_as_words(negative)])):
            yield line, "; ".join(left)
