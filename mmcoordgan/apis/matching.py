"""Match the pixels of images by their correspondence maps, and carry labels.

Places are fractions of an image's sides, whatever its size: (0, 0) is the outer corner of the top
left pixel, (1, 1) that of the last one, and the centre of pixel (i, j) of n x n lies at
((j + 0.5) / n, (i + 0.5) / n). Squeezing an image to a square does not change them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmcoordgan.datasets.transforms import resize_labels
from mmcoordgan.evaluation.examples import arg_max, pixel_centres, resize_soft
from mmcoordgan.geometry import IndexedCoords, carry

LEAST_KNOWN = 1e-3
"""A pixel is unlabelled where ignored pixels make up all but this fraction of its match."""


def match(
    a: IndexedCoords,
    b: IndexedCoords,
    places: Tensor,
    temperature: float,
    map_errors: Sequence[Tensor | None] = (None, None),
) -> tuple[Tensor, Tensor, Tensor]:
    """Match ``places`` (1, 2, m, n), x first, of image a in image b, and the matches back to a.

    Carries the places of b's pixels to those of a, so matches lie between pixels. Between a's
    pixels, interpolates displacements, not matches: what does not move stays. ``map_errors`` are
    those of a and b (:func:`~mmcoordgan.apis.domain.map_error`); None counts as 0.

    Returns, as fractions of the sides: matches (2, m, n) in [0, 1]; cycle errors (m, n), from a
    place to the match of its match; and doubts (m, n), the standard deviation of the places that a
    match is a mean of, plus the mean of the map errors at both ends.
    """
    start = pixel_centres(a.coords.shape[-2:], a.coords)
    ends = pixel_centres(b.coords.shape[-2:], b.coords)
    values = torch.cat([ends, ends.square().sum(1, keepdim=True)], 1)
    there, square = carry(values, b, a, temperature).split([2, 1], 1)
    doubt = (square - there.square().sum(1, keepdim=True)).clamp(min=0).sqrt()
    for error, where in zip(map_errors, (start, there)):
        if error is not None:
            doubt = doubt + _sample(error, where) / 4  # half of two; the frame is two sides wide
    arrived = _sample(b.coords.float(), there)  # what b shows at the matches
    cycle = (carry(start, a, arrived, temperature) - start).norm(dim=1, keepdim=True)
    found = _sample(torch.cat([there - start, cycle, doubt], 1), places)[0]
    return (places[0] + found[:2]).clamp(0, 1), found[2], found[3]


def soft_labels(labels: np.ndarray, classes: Sequence[int], size: int) -> Tensor:
    """Soft one-hot labels (C, size, size) float32 of C classes, from labels (H, W) in 0..255."""
    index = np.full(256, len(classes))  # of no class
    index[list(classes)] = np.arange(len(classes))
    return torch.from_numpy(resize_labels(index[labels], len(classes), size))


class LabelledReferences:
    """Labelled images, ready to label any number of others by the average of what they carry.

    ``coords`` are maps (K, 2, h, w), h = w, and ``labels`` K label maps (H, W) of any size, in
    0..255. Pixels with ``ignore_label`` carry nothing; it is the last of ``classes``, and labels
    the pixels that match ignored ones only.
    """

    def __init__(
        self, coords: Tensor, labels: Sequence[np.ndarray], ignore_label: int | None = None
    ) -> None:
        self.coords = IndexedCoords(coords)
        self.ignores = ignore_label is not None
        found = set().union(*(np.unique(part).tolist() for part in labels))
        classes = sorted(found - {ignore_label})
        if not classes:
            raise ValueError(f'the references have no label but {ignore_label}, which is ignored')
        soft = [soft_labels(part, classes, coords.shape[-1]) for part in labels]
        self.soft = torch.stack(soft).to(coords)  # (K, C, h, w)
        self.classes = np.array([*classes, *([ignore_label] if self.ignores else [])], np.uint8)

    def carry_to(self, coords: Tensor, temperature: float) -> Tensor:
        """Label probabilities (C, h, w) of one image with the map (1, 2, h, w); they sum to 1."""
        carried = carry(self.soft, self.coords, coords, temperature)  # (K, C, h, w)
        carried = carried.sum(0) / len(self.soft)
        if not self.ignores:
            return carried
        total = carried.sum(0, keepdim=True)
        known = (total > LEAST_KNOWN).to(carried)
        return torch.cat([known * carried / total.clamp(min=LEAST_KNOWN), 1 - known])


def best_class(probabilities: Tensor, shape: Sequence[int]) -> Tensor:
    """The arg max (H, W) of probabilities (C, h, w), enlarged bilinearly to ``shape`` (H, W).

    Enlarges one class at a time, so that memory does not grow with their number.
    """
    return arg_max(resize_soft(one[None], shape)[0] for one in probabilities)


def _sample(values: Tensor, places: Tensor) -> Tensor:
    """(1, C, H, W) at places (1, 2, h, w), bilinearly: (1, C, h, w)."""
    grid = 2 * places.permute(0, 2, 3, 1) - 1
    return F.grid_sample(values, grid, padding_mode='border', align_corners=False)
