"""Whether a checkpoint's autoencoder can draw what is to be learnt: no LoRA changes that part."""

from collections.abc import Iterable

from PIL.Image import Image

from models.types.errors import TrainingError

#: Pictures that are looked at, which takes a few seconds.
LOOKED_AT = 24
#: Of those that have the colour that their caption names, the share that has to have it still.
_LEAST = 0.5
#: Fewer say too little.
_FEWEST = 4


def require_colours_kept(pictures: Iterable[tuple[Image, Image, str]]) -> None:
    """Look at pictures as they are and as the autoencoder draws them, each pair with its caption.

    Raises:
        TrainingError: too many no longer have the colour that their caption names.
    """
    # They bring what looks at pictures, which takes a second.
    from checks.asked import Asked
    from checks.picture import Picture
    from checks.registry import select

    check = select("colour")

    def has_colour(image: Image, caption: str) -> bool:
        found = check.check(Picture(image), Asked(caption, *image.size))
        return all(finding.passed and finding.figure is not None for finding in found)

    had = [(after, caption) for before, after, caption in pictures if has_colour(before, caption)]
    kept = sum(has_colour(after, caption) for after, caption in had)
    if len(had) >= _FEWEST and kept < _LEAST * len(had):
        lost = next(caption for after, caption in had if not has_colour(after, caption))
        raise TrainingError(
            f"the checkpoint's autoencoder cannot draw it: of {len(had)} pictures that have the colour which their "
            f"captions name, {kept} have it still once they are encoded and decoded (lost: {lost!r}), and a LoRA does "
            "not change that part; --no-check-autoencoder trains all the same"
        )
