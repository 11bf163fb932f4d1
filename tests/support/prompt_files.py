"""Files of prompts in the folder at work, and what is read from them."""

from pathlib import Path
from typing import Any

import pytest

from models.types.errors import BadInputError
from producer.prompts.problems import Problems
from producer.prompts.reading import read_requests


def written(name: str, content: str | bytes) -> str:
    """Write a file and return its name."""
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return name


def requests_of(source: Any, **options: Any) -> list[Any]:
    """Return all requests of a source that has no problems."""
    problems = Problems()
    requests = list(read_requests(source, problems, **options))
    problems.refuse()
    return requests


def read(name: str, content: str | bytes) -> list[tuple[int | None, dict[str, object]]]:
    """Return each request's line and values."""
    return [(request.line, dict(request.values)) for request in requests_of(written(name, content))]


def problems_of(source: Any, **options: Any) -> Any:
    """Return the problems of a source that has some."""
    with pytest.raises(BadInputError) as caught:
        requests_of(source, **options)
    return caught.value.problems
