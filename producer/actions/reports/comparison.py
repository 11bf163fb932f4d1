"""What a comparison shows: how many pictures of each variant are accepted, and what that says of the variants."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, sqrt
from statistics import NormalDist, fmean

from models.figures.variants import Trial
from models.types.states import JobState
from producer.prompts.axes import variant_of

_CHANCE = 0.05
#: The share of comparisons in which a difference that is there is to be found.
_POWER = 0.8
_JUDGED = (JobState.SUCCEEDED, JobState.REJECTED)


@dataclass(frozen=True)
class VariantFigures:
    """One variant."""

    variant: str
    pictures: int
    #: Made and judged; accepted of those.
    judged: int
    accepted: int
    #: The range in which its share lies 95 times of 100 (Wilson, 1927); None where nothing was judged.
    low: float | None
    high: float | None
    mean_s: float | None
    peak_bytes: int | None
    #: Pairs of the same prompt and seed that it won of, and lost to, the first variant.
    won: int
    lost: int


@dataclass(frozen=True)
class Comparison:
    """All variants, in the order in which they were asked for."""

    variants: list[VariantFigures]
    #: What may be said of the best and the first, in a sentence.
    verdict: str


def compare(trials: Sequence[Trial], *, is_judged: bool) -> Comparison:
    """Return what the pictures so far show; the first variant is what the others are held against."""
    by_variant: dict[str, list[Trial]] = {}
    for trial in trials:
        by_variant.setdefault(variant_of(trial.attributes), []).append(trial)
    first = next(iter(by_variant.values()), [])
    variants = [_figures(name, found, first, is_judged=is_judged) for name, found in by_variant.items()]
    return Comparison(variants, _verdict(variants, is_judged=is_judged))


def wilson(accepted: int, judged: int) -> tuple[float, float]:
    """Return the 95 % range of a share (E. B. Wilson, 1927, Probable inference, equation for p)."""
    z = NormalDist().inv_cdf(0.975)
    share, spread = accepted / judged, z * z / judged
    middle, width = share + spread / 2, z * sqrt(share * (1 - share) / judged + spread / (4 * judged))
    return max(0.0, (middle - width) / (1 + spread)), min(1.0, (middle + width) / (1 + spread))


def chance_of(won: int, lost: int) -> float:
    """Return how often two equal variants would differ at least so much (McNemar's exact test, both sides)."""
    pairs = won + lost
    fewer: int = sum(comb(pairs, number) for number in range(min(won, lost) + 1))
    # Whole numbers divided, which may have more digits than a float.
    return min(1.0, 2 * fewer / (1 << pairs))


def pictures_that_would_tell(won: int, lost: int, pairs: int) -> int:
    """Return how many pairs would tell such a difference, which is not 0, from chance.

    As R. J. Connor has it (1987, Biometrics 43, 207-211).
    """
    differing, difference = (won + lost) / pairs, abs(won - lost) / pairs
    z = NormalDist().inv_cdf
    root = z(1 - _CHANCE / 2) * sqrt(differing) + z(_POWER) * sqrt(max(0.0, differing - difference**2))
    return max(pairs + 1, round((root / difference) ** 2 + 0.5))


def _figures(name: str, trials: Sequence[Trial], first: Sequence[Trial], *, is_judged: bool) -> VariantFigures:
    judged = [trial for trial in trials if is_judged and trial.state in _JUDGED]
    accepted = sum(trial.state == JobState.SUCCEEDED for trial in judged)
    low, high = wilson(accepted, len(judged)) if judged else (None, None)
    of_first = {(trial.prompt, trial.seed): trial.state for trial in first}
    pairs = Counter((trial.state, of_first.get((trial.prompt, trial.seed))) for trial in judged)
    seconds = [trial.total_s for trial in trials if trial.total_s is not None]
    return VariantFigures(
        name,
        len(trials),
        len(judged),
        accepted,
        low,
        high,
        fmean(seconds) if seconds else None,
        max((trial.peak_bytes for trial in trials if trial.peak_bytes is not None), default=None),
        won=pairs[JobState.SUCCEEDED, JobState.REJECTED],
        lost=pairs[JobState.REJECTED, JobState.SUCCEEDED],
    )


def _verdict(variants: Sequence[VariantFigures], *, is_judged: bool) -> str:
    if not is_judged:
        return "The pictures are not judged: add --checks, or accept and reject them yourself."
    if len(variants) < 2 or not all(one.judged for one in variants):
        return "Not every variant has a picture that is judged yet."
    first, *others = variants
    # Of several, the last: of a training, it learnt the longest.
    best = max(reversed(others), key=lambda one: one.won - one.lost)
    pictures = min(best.judged, first.judged)
    if best.won <= best.lost:
        return f"No variant is better than {first.variant} by the {pictures} pictures of each."
    # Of several variants one is the best by chance alone, so each has a part of what chance may do (Bonferroni).
    chance = min(1.0, chance_of(best.won, best.lost) * len(others))
    pairs = f"of {pictures} pairs it won {best.won} and lost {best.lost}"
    if chance < _CHANCE:
        return f"{best.variant} is better than {first.variant}: {pairs}, by chance {chance:.2g} times of 1."
    enough = pictures_that_would_tell(best.won, best.lost, pictures)
    return (
        f"{best.variant} and {first.variant} are not told apart by {pictures} pictures: {pairs}. If that is how they "
        f"differ, about {enough:,} would tell."
    )
