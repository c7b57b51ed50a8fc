"""Colours for coordinates and labels, images as bytes."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from mmcoordgan.models.images import to_bytes

OVERLAY_OPACITY = 0.55

# sRGB colours of the frame's corners: [top, bottom][left, right]. All of them are light enough
# for the texture to show, and no two places of the frame share a colour.
_CORNERS = (((255, 196, 0), (240, 60, 110)), ((0, 190, 120), (70, 110, 255)))
_FROM_SRGB = np.array(  # linear sRGB -> cone response of OKLab
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_OKLAB = np.array(  # cube root of the cone response -> OKLab
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def coords_to_colors(coords: np.ndarray | Tensor, checkers: int = 16) -> np.ndarray:
    """Paint a correspondence map: every place of the canonical frame has a colour of its own.

    Two pixels have the same colour where they correspond. The colours are interpolated between
    the frame's corners in OKLab, so that equal distances look about equally large. A light
    checkerboard, fixed to the frame, shows where the map stretches, shrinks or folds.

    Convention: x first; x = -1 is the frame's left edge, y = -1 its top.

    Args:
        coords: (2, H, W) or (B, 2, H, W). Values outside [-1, 1] are clamped to the frame's edge.
        checkers: Squares of the checkerboard along each side of the frame; 0 paints none.

    Returns:
        uint8 RGB, (H, W, 3) or (B, H, W, 3). Pixels with a coordinate that is not finite are black.

    Raises:
        ValueError: ``coords`` has another shape, or ``checkers`` is negative.
    """
    values = _to_numpy(coords).astype(np.float64)
    if values.ndim not in (3, 4) or values.shape[-3] != 2:
        raise ValueError(f'coords must be (2, H, W) or (B, 2, H, W), got {values.shape}')
    if checkers < 0:
        raise ValueError(f'checkers must be >= 0, got {checkers}')
    values = np.moveaxis(values, -3, -1)  # (..., H, W, 2)
    finite = np.isfinite(values).all(axis=-1, keepdims=True)
    unit = (np.clip(np.where(finite, values, 0.0), -1.0, 1.0) + 1.0) / 2.0
    x, y = unit[..., :1], unit[..., 1:]

    (top_left, top_right), (bottom_left, bottom_right) = _srgb_to_oklab(np.array(_CORNERS))
    top = top_left * (1 - x) + top_right * x
    bottom = bottom_left * (1 - x) + bottom_right * x
    lab = top * (1 - y) + bottom * y  # (..., H, W, 3)
    if checkers:
        square = np.minimum(np.floor(unit * checkers), checkers - 1).sum(axis=-1)
        lab[..., 0] += np.where(square % 2 == 0, 0.025, -0.025)
    return np.where(finite, _oklab_to_srgb(lab), 0).astype(np.uint8)


def images_to_uint8(images: np.ndarray | Tensor) -> np.ndarray:
    """RGB images (..., 3, H, W) in [-1, 1] -> uint8 (..., H, W, 3).

    Values outside the range are clamped; values that are not finite become black.
    """
    if not isinstance(images, Tensor):
        images = torch.from_numpy(np.ascontiguousarray(images))
    if images.ndim < 3 or images.shape[-3] != 3:
        raise ValueError(f'images must be (..., 3, H, W), got {tuple(images.shape)}')
    return to_bytes(images.detach().cpu()).movedim(-3, -1).contiguous().numpy()


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
    """Lay the colours of labels over an image; the background (label 0) stays clear.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (h, w) integer; enlarged or reduced to the image's size without interpolation.
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


def _to_numpy(values: np.ndarray | Tensor) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        return values.detach().float().cpu().numpy()
    return np.asarray(values)


def _srgb_to_oklab(srgb: np.ndarray) -> np.ndarray:
    """sRGB (..., 3) in [0, 255] -> OKLab (..., 3)."""
    encoded = srgb / 255.0
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ _FROM_SRGB.T) @ _TO_OKLAB.T


def _oklab_to_srgb(lab: np.ndarray) -> np.ndarray:
    """OKLab (..., 3) -> sRGB (..., 3) in [0, 255], rounded and clipped to what can be shown."""
    linear = (lab @ np.linalg.inv(_TO_OKLAB).T) ** 3 @ np.linalg.inv(_FROM_SRGB).T
    linear = np.clip(linear, 0.0, 1.0)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(encoded * 255.0)
