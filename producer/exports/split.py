"""Which prompts are kept for testing: pictures of one prompt are all on one side."""

import hashlib
from collections.abc import Collection

TRAIN, TEST = "train", "test"


def prompts_for_testing(prompts: Collection[str], share: float) -> set[str]:
    """Return the prompts for testing, `share` of them and at least one of several; the same ones each time."""
    if share <= 0 or len(prompts) < 2:
        return set()
    # By digest: in an order that has nothing to do with how the prompts are written or came.
    ordered = sorted(set(prompts), key=lambda prompt: hashlib.sha256(prompt.encode()).digest())
    return set(ordered[: min(max(1, round(share * len(ordered))), len(ordered) - 1)])
