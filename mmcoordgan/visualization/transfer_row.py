"""One query in a row of pictures: what its correspondences to a reference carry over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from mmcoordgan.geometry import carry

from .colors import coords_to_colors

OVERLAY_OPACITY = 0.55


class TransferPicture(NamedTuple):
    """A picture with its correspondence map, and its labels where it has some."""

    image: np.ndarray
    """(H, W, 3) uint8 RGB."""
    coords: Tensor
    """(2, h, w)."""
    labels: Tensor | None = None
    """Soft one-hot labels (C, h, w)."""


def labels_to_colors(
    labels: np.ndarray | Tensor, palette: Sequence[Sequence[int]] | np.ndarray
) -> np.ndarray:
    """Paint labels in the colours of a palette.

    Args:
        labels: (H, W) integer, in 0..C-1.
        palette: C colours RGB in 0..255, as ``metainfo['palette']``.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: If a label has no colour.
    """
    index = np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels)
    colors = np.asarray(palette, dtype=np.uint8).reshape(-1, 3)
    if index.size and not 0 <= index.min() <= index.max() < len(colors):
        raise ValueError(
            f'labels span {index.min()}..{index.max()}, but the palette has {len(colors)} colours'
        )
    return colors[index]


def overlay_labels(
    image: np.ndarray,
    labels: np.ndarray | Tensor,
    palette: Sequence[Sequence[int]] | np.ndarray,
    opacity: float = OVERLAY_OPACITY,
) -> np.ndarray:
    """Lay the colours of labels over a picture; the background (label 0) stays clear.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (h, w) integer; enlarged or reduced to the picture's size without interpolation.
        palette: See :func:`labels_to_colors`.
        opacity: 0 (invisible) to 1.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    height, width = image.shape[:2]
    small = np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels).astype(np.int32)
    index = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
    colors = labels_to_colors(index, palette)
    strength = opacity * (index > 0)[:, :, None]
    return np.rint(image * (1 - strength) + colors * strength).astype(np.uint8)


@torch.no_grad()
def transfer_row(
    reference: TransferPicture,
    query: TransferPicture,
    palette: Sequence[Sequence[int]] | np.ndarray | None = None,
    temperature: float = 0.01,
) -> list[np.ndarray]:
    """Pictures of one transfer, for :func:`mmcoordgan.visualization.arrange_cells`.

    From left to right: the reference (with its labels, if it has some), the query, its
    correspondence map (:func:`coords_to_colors`), the reference's colours carried to the query,
    and, for a labelled reference, the labels carried to the query, then the query's own labels if
    it has some (else a white cell), so that all rows of one reference are equally long.

    Convention: colours and labels travel from the reference (source) to the query (target).

    Args:
        reference: Where colours and labels come from.
        query: Where they go.
        palette: Colours of the classes; needed for labelled references.
        temperature: Of the soft correspondence, in units of the frame; 0 takes the nearest pixel.

    Returns:
        4 or 6 pictures, uint8 RGB.

    Raises:
        ValueError: If labels are to be drawn and there is no palette.
    """
    colors = torch.from_numpy(reference.image).permute(2, 0, 1)[None].to(reference.coords)
    colors = _resize(colors, reference.coords)
    values = colors if reference.labels is None else torch.cat([colors, reference.labels[None]], 1)
    maps = reference.coords[None], query.coords[None]
    carried = carry(values, *maps, temperature)[0]  # (3 [+ C], h, w)
    warped = carried[:3].permute(1, 2, 0).round().clamp(0, 255).byte().cpu().numpy()
    cells = [reference.image, query.image, coords_to_colors(query.coords), warped]
    if reference.labels is None:
        return cells
    if palette is None:
        raise ValueError("labels are drawn in the colours of metainfo['palette'], which is missing")
    cells[0] = overlay_labels(reference.image, reference.labels.argmax(0), palette)
    cells.append(overlay_labels(query.image, carried[3:].argmax(0), palette))
    if query.labels is None:
        cells.append(np.full_like(query.image, 255))
    else:
        cells.append(overlay_labels(query.image, query.labels.argmax(0), palette))
    return cells


def _resize(colors: Tensor, coords: Tensor) -> Tensor:
    size = coords.shape[-2:]
    if colors.shape[-2:] == size:
        return colors
    return torch.nn.functional.interpolate(
        colors, size, mode='bilinear', align_corners=False, antialias=True
    )
