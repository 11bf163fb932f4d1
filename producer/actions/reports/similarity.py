"""How similar each variant's pictures are to those of the first variant, by their pixels."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image

from models.figures.made_pictures import MadePicture
from models.pictures.store import PictureStore
from producer.actions.reports.side_by_side import SameSeed

if TYPE_CHECKING:
    from numpy import ndarray

#: Two equal pictures have no noise between them; 60 dB is a thousandth of the scale.
_EQUAL_DB = 60.0


@dataclass(frozen=True)
class Similarity:
    """Of one variant: over the pairs of the same prompt and seed, the mean and the 5th percentile."""

    pairs: int
    #: Structural similarity in colour (Wang et al., 2004, as scikit-image has it); 1 for two equal pictures.
    ssim: float
    ssim_p5: float
    #: Peak signal to noise ratio in dB.
    psnr: float
    psnr_p5: float


def similarities(
    rows: Sequence[SameSeed], store: PictureStore, looked_at: Callable[[int], object] = lambda _: None
) -> list[Similarity | None]:
    """Return how similar each variant of the rows is to the first; None where no two pictures can be compared.

    `looked_at` is told of how many rows more. A picture that is not there, or of another size than the first
    variant's, is left out.
    """
    pairs: list[list[tuple[float, float]]] = [[] for _ in rows[0].pictures] if rows else []
    for row in rows:
        first, *others = (_pixels(one, store) for one in row.pictures)
        for of_variant, other in zip(pairs[1:], others, strict=True):
            if first is not None and other is not None and first.shape == other.shape:
                of_variant.append(_measured(first, other))
        looked_at(1)
    return [_summed_up(of_variant) for of_variant in pairs]


def similarity(pairs: "Iterable[tuple[ndarray, ndarray]]") -> Similarity | None:
    """Return how similar pictures are: pairs of arrays (height, width, 3) of bytes; None where there is no pair."""
    return _summed_up([_measured(one, other) for one, other in pairs])


def _pixels(made: MadePicture | None, store: PictureStore) -> "ndarray | None":
    import numpy as np

    if made is None or not store.has(made.picture):
        return None
    with Image.open(BytesIO(store.read(made.picture))) as picture:
        return np.asarray(picture.convert("RGB"))


def _measured(one: "ndarray", other: "ndarray") -> tuple[float, float]:
    # With it comes scipy, which is slow to import.
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    ssim = float(structural_similarity(one, other, channel_axis=2))
    return ssim, _EQUAL_DB if (one == other).all() else float(peak_signal_noise_ratio(one, other))


def _summed_up(measured: Sequence[tuple[float, float]]) -> Similarity | None:
    import numpy as np

    if not measured:
        return None
    ssim, psnr = zip(*measured, strict=True)
    return Similarity(
        len(measured),
        float(np.mean(ssim)),
        float(np.percentile(ssim, 5)),
        float(np.mean(psnr)),
        float(np.percentile(psnr, 5)),
    )
