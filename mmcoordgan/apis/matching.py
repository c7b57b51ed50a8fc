"""Match the pixels of images by their correspondence maps, and carry labels.

Positions are fractions of an image's sides, whatever its size: (0, 0) is the outer corner of the
top left pixel, (1, 1) that of the last one, and the centre of pixel (i, j) of n x n lies at
((j + 0.5) / n, (i + 0.5) / n). Squeezing an image to a square does not change them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmcoordgan.datasets.transforms import resize_labels
from mmcoordgan.evaluation.transfer_metric import transfer_all
from mmcoordgan.geometry import IndexedCoords, carry

ZERO_CONFIDENCE = 0.1
"""Error at which the confidence reaches 0: a tenth of the image's side."""
LEAST_KNOWN = 1e-3
"""A pixel is unlabelled where ignored pixels make up all but this fraction of its match."""


class MatchField(NamedTuple):
    """The match in image b of each pixel of a's map."""

    displacement: Tensor
    """(1, 2, h, w): from the pixel to its match, x first, as fractions of the sides."""
    cycle_distance: Tensor
    """(1, 1, h, w): from the pixel to the match of its match."""
    doubt: Tensor
    """(1, 1, h, w): how little the match is to be trusted."""


def pixel_centres(size: Sequence[int], like: Tensor) -> Tensor:
    """(1, 2, height, width): centres of the pixels of an image of this size, x first."""
    height, width = size
    x = (torch.arange(width, device=like.device, dtype=torch.float32) + 0.5) / width
    y = (torch.arange(height, device=like.device, dtype=torch.float32) + 0.5) / height
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)])[None]


def match_field(
    a: IndexedCoords,
    b: IndexedCoords,
    temperature: float,
    map_errors: Sequence[Tensor | None] = (None, None),
) -> MatchField:
    """Match each pixel of ``a`` to a position in ``b``, and that position back to ``a``.

    Carries the positions of b's pixels to a as values, so matches lie between pixels. The doubt of
    a match is the standard deviation of the positions that it is a mean of, plus the mean of the
    map errors at both ends, all as fractions of the sides.

    Args:
        a: Map (1, 2, h, w).
        b: Map (1, 2, H, W).
        temperature: Softness of the transfer, in units of the frame; 0 takes the nearest pixel.
        map_errors: Of a and b, :func:`~mmcoordgan.apis.domain.map_error`; None counts as 0.
    """
    start = pixel_centres(a.coords.shape[-2:], a.coords)
    positions = pixel_centres(b.coords.shape[-2:], b.coords)
    values = torch.cat([positions, positions.square().sum(1, keepdim=True)], 1)
    there, square = carry(values, b, a, temperature).split([2, 1], 1)
    doubt = (square - there.square().sum(1, keepdim=True)).clamp(min=0).sqrt()
    for error, places in zip(map_errors, (start, there)):
        if error is not None:
            doubt = doubt + _sample(error, places) / 4  # half of two; the frame is two sides wide
    arrived = _sample(b.coords.float(), there)  # what b shows at the matches
    back = carry(start, a, arrived, temperature)
    return MatchField(there - start, (back - start).norm(dim=1, keepdim=True), doubt)


def at_places(field: MatchField, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Matches, cycle errors and doubts of places (1, 2, h, w) in [0, 1], x first, of the image a.

    Interpolates displacements bilinearly, not matches: what does not move stays where it is.

    Returns:
        Matches (2, h, w) in [0, 1], cycle errors and doubts (h, w).
    """
    moved, cycle, doubt = (_sample(values, places)[0] for values in field)
    return (places[0] + moved).clamp(0, 1), cycle[0], doubt[0]


def confidence(error: Tensor) -> Tensor:
    """1 where there is no error, falling linearly to 0 at ZERO_CONFIDENCE."""
    return (1 - error / ZERO_CONFIDENCE).clamp(min=0)


def soft_labels(labels: np.ndarray, classes: Sequence[int], size: int) -> Tensor:
    """Soft one-hot labels (C, size, size) float32 of C classes, from labels (H, W) in 0..255."""
    index = np.full(256, len(classes))  # of no class
    index[list(classes)] = np.arange(len(classes))
    return torch.from_numpy(resize_labels(index[labels], len(classes), size))


class LabelledReferences:
    """Labelled images, ready to label any number of others.

    Resizes labels as :class:`~mmcoordgan.datasets.ResizeWithSoftLabels` does. Averages what the
    references carry, as the ``fused_iou`` of :class:`~mmcoordgan.evaluation.SegTransferIoU` does.

    Args:
        coords: Maps (K, 2, h, w), h = w.
        labels: K label maps (H, W) of any size, in 0..255; not all of them ignored.
        ignore_label: Pixels with this label carry nothing. It is the last of ``classes`` and
            labels the pixels that match ignored ones only.
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
        carried = transfer_all(self.soft, self.coords, coords, temperature)[0]  # (K, C, h, w)
        carried = carried.sum(0) / len(self.soft)
        if not self.ignores:
            return carried
        total = carried.sum(0, keepdim=True)
        known = (total > LEAST_KNOWN).to(carried)
        return torch.cat([known * carried / total.clamp(min=LEAST_KNOWN), 1 - known])


def best_class(probabilities: Tensor, shape: tuple[int, int]) -> Tensor:
    """The arg max (H, W) of probabilities (C, h, w), enlarged bilinearly to ``shape`` (H, W).

    Edges between labels become smooth lines. Ties go to the lowest class. Enlarges one class at a
    time, so that memory does not grow with their number.
    """
    best = _resize(probabilities[None, :1], *shape)[0, 0].clone()
    index = torch.zeros_like(best, dtype=torch.int64)
    for number in range(1, len(probabilities)):
        values = _resize(probabilities[None, number : number + 1], *shape)[0, 0]
        index.masked_fill_(values > best, number)
        torch.maximum(best, values, out=best)
    return index


def _sample(values: Tensor, positions: Tensor) -> Tensor:
    """(1, C, H, W) at positions (1, 2, h, w), bilinearly: (1, C, h, w)."""
    grid = 2 * positions.permute(0, 2, 3, 1) - 1
    return F.grid_sample(values, grid, padding_mode='border', align_corners=False)


def _resize(values: Tensor, height: int, width: int) -> Tensor:
    if values.shape[-2:] == (height, width):
        return values
    return F.interpolate(values, (height, width), mode='bilinear', align_corners=False)
