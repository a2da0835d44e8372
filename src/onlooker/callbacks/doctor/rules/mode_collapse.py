"""GANs: a generator that draws the same picture whatever the noise."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..limits import COUNT, POSITIVE, SHARE, allowed
from ..rule import Finding, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from onlooker.core.record import Picture

_BACKGROUND = 32  # of the lines between the pictures of an `ImageGrid`


class ModeCollapse(Rule):
    """Finds drawings whose pictures have become alike: `Picture` records of an `ImageGrid` in the same run.

    The pictures of a drawing are told apart by the lines between them; where there are none (padding=0), it is silent.
    Their variety is the standard deviation from picture to picture, in the mean over the pixels, in steps of 0 to 255.

    Args:
        share: which share of its largest value the variety must have fallen to.
        least: below which variety the pictures are alike from the beginning, if they show something at all.
        patience: after how many drawings in a row it speaks.
    """

    name = "mode_collapse"
    why = "The generator has found one picture that pleases the discriminator, and has forgotten all the others."
    advice = (
        "Give the discriminator whole batches to compare (minibatch discrimination, a standard deviation layer), lower "
        "the generator's learning rate, or use a gradient penalty or a Wasserstein loss."
    )
    source = "Salimans and others 2016; Metz, Poole, Pfau and Sohl-Dickstein 2017"
    memory = ("largest",)
    recovery = 5
    is_general = False
    limits = allowed(share=SHARE, least=POSITIVE, patience=COUNT)

    def __init__(self, share: float = 0.3, least: float = 2.0, patience: int = 2) -> None:
        self.share, self.least, self.patience = share, least, patience
        self.check()
        self.begin()

    def begin(self) -> None:
        """Forget the variety so far."""
        self.largest: dict[str, float] = {}

    def see(self, picture: Picture) -> list[Finding] | None:
        """Compare the variety with the largest so far."""
        pictures = pictures_in(np.asarray(picture.pixels))
        if pictures is None:
            return None
        variety, contrast = float(pictures.std(axis=0).mean()), float(pictures.std(axis=(1, 2)).mean())
        largest = self.largest[picture.name] = max(self.largest.get(picture.name, 0.0), variety)
        has_fallen = variety < self.share * largest and largest > 2 * self.least
        if not has_fallen and not (variety < self.least and contrast > 10 * self.least):
            return []
        seen = (
            f"the {len(pictures)} pictures are alike: they vary by {variety:.1f} of 255, and once did by {largest:.1f}"
        )
        return [Finding(picture.name, seen, {"variety": variety, "largest": largest, "contrast": contrast})]


def pictures_in(pixels: Any) -> Any | None:
    """Return the pictures of a drawing as floats of shape (pictures, height, width, ...); None where it has no lines.

    Example:
        >>> drawing = np.full((5, 9), 32, np.uint8)
        >>> drawing[1:4, 1:4], drawing[1:4, 5:8] = 200, 100
        >>> pictures_in(drawing)[:, 0, 0].tolist()
        [200.0, 100.0]
    """
    grey = pixels if pixels.ndim == 2 else pixels[..., 0]
    is_line = grey == _BACKGROUND
    rows, columns = _spans(~is_line.all(axis=1)), _spans(~is_line.all(axis=0))
    sizes = {(bottom - top, right - left) for top, bottom in rows for left, right in columns}
    if len(rows) * len(columns) < 2 or len(sizes) != 1:
        return None
    cells = [pixels[top:bottom, left:right] for top, bottom in rows for left, right in columns]
    filled = [cell for cell in cells if not (cell == _BACKGROUND).all()]
    return np.stack(filled).astype(np.float32) if len(filled) > 1 else None


def _spans(is_inside: Any) -> list[tuple[int, int]]:
    """Return where runs of True begin and end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_inside, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
