"""Colours for coordinates and labels, images as bytes."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from mmcoordgan.models.images import to_bytes

OPACITY = 0.55  # of labels over an image

# sRGB colours of the frame's corners: [top, bottom][left, right]. All of them are light enough
# for the texture to show, and no two places of the frame share a colour.
_CORNERS = (((255, 196, 0), (240, 60, 110)), ((0, 190, 120), (70, 110, 255)))


def coords_to_colors(coords: np.ndarray | Tensor, checkers: int = 16) -> np.ndarray:
    """Paint maps (..., 2, H, W) as uint8 RGB (..., H, W, 3): every place of the canonical frame has
    a colour of its own.

    Colours are interpolated between the frame's corners in CIELAB. A light checkerboard, fixed to
    the frame, shows where the map stretches or folds; it has ``checkers`` squares a side, 0 for
    none. Values outside [-1, 1] are clamped; pixels with a coordinate that is not finite are black.

    Convention: x first; x = -1 is the frame's left edge, y = -1 its top.
    """
    values = torch.as_tensor(coords).detach().double().cpu().numpy()
    values = np.moveaxis(values, -3, -1)  # (..., H, W, 2)
    finite = np.isfinite(values).all(axis=-1, keepdims=True)
    unit = (np.clip(np.where(finite, values, 0.0), -1.0, 1.0) + 1.0) / 2.0
    x, y = unit[..., :1], unit[..., 1:]

    corners = cv2.cvtColor(np.array(_CORNERS, np.float32) / 255, cv2.COLOR_RGB2Lab)
    (top_left, top_right), (bottom_left, bottom_right) = corners
    top = top_left * (1 - x) + top_right * x
    bottom = bottom_left * (1 - x) + bottom_right * x
    lab = top * (1 - y) + bottom * y  # (..., H, W, 3)
    if checkers:
        square = np.minimum(np.floor(unit * checkers), checkers - 1).sum(axis=-1)
        lab[..., 0] += np.where(square % 2 == 0, 2.5, -2.5)
    rgb = cv2.cvtColor(lab.reshape(-1, 1, 3).astype(np.float32), cv2.COLOR_Lab2RGB)
    return np.where(finite, np.rint(255 * rgb.reshape(lab.shape)), 0).astype(np.uint8)


def images_to_uint8(images: np.ndarray | Tensor) -> np.ndarray:
    """RGB images (..., 3, H, W) in [-1, 1] -> uint8 (..., H, W, 3), clamped; NaN, inf: black."""
    images = torch.as_tensor(images).detach().cpu()
    return to_bytes(images).movedim(-3, -1).contiguous().numpy()


def overlay_labels(
    image: np.ndarray,
    labels: np.ndarray | Tensor,
    palette: Sequence[Sequence[int]] | np.ndarray,
) -> np.ndarray:
    """Lay the colours of labels over an image (H, W, 3) uint8 RGB; label 0 stays clear.

    ``labels`` are (h, w) integers, resized to the image without interpolation; ``palette`` has RGB
    in 0..255 for each.
    """
    height, width = image.shape[:2]
    small = torch.as_tensor(labels).cpu().numpy().astype(np.int32)
    index = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
    colors = np.asarray(palette, dtype=np.uint8)[index]
    strength = OPACITY * (index > 0)[:, :, None]
    return np.rint(image * (1 - strength) + colors * strength).astype(np.uint8)
