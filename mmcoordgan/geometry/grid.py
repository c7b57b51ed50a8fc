"""The canonical frame that all correspondence maps point into."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def canonical_grid(
    height: int,
    width: int,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """The regular grid of the canonical frame, (2, height, width) in [-1, 1].

    Convention: channel 0 is x (left to right), channel 1 is y (top to bottom); both run over
    ``linspace(-1, 1, n)``, so the centres of the corner pixels lie on the corners of the frame
    (``align_corners=True``). A single row or column lies at -1.
    """
    x = torch.linspace(-1, 1, width, device=device, dtype=dtype)
    y = torch.linspace(-1, 1, height, device=device, dtype=dtype)
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)])


def resize_map(coords: Tensor, size: Sequence[int]) -> Tensor:
    """Maps (B, 2, h, w) at another size (B, 2, H, W), bilinear; those of that size unchanged.

    Convention: as :func:`canonical_grid`, whose corners stay corners (``align_corners=True``).
    """
    if coords.shape[-2:] == tuple(size):
        return coords
    return F.interpolate(coords, tuple(size), mode='bilinear', align_corners=True)


def mean_of_sides(coords: Tensor, mirrored: Tensor) -> Tensor:
    """The mean of maps of symmetric objects and of maps of their mirror images, all (B, 2, H, W).

    Mirrors the latter back first: their pixels, and x.
    """
    sign = coords.new_tensor([-1.0, 1.0]).view(2, 1, 1)
    return (coords + sign * mirrored.flip(-1)) / 2
