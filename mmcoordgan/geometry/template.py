"""Maps are moved to where an image looks like a template of the frame."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .grid import canonical_grid

STEPS = 6


def move_to_template(
    features: Tensor,
    template: Tensor,
    coords: Tensor,
    strength: float = 0.3,
    spread: float = 0.1,
    window: float = 1.0,
    smoothing: float = 1 / 32,
    focus: float = math.inf,
) -> Tensor:
    r"""Smooth maps, then move the smooth ones :math:`c` by the smooth :math:`d` that makes small

    .. math::
        s \, G * (w \lVert f - T(c + d) \rVert^2) + \lVert d \rVert^2 / \sigma^2

    by Gauss-Newton steps, where :math:`G` is a Gaussian window (Lucas and Kanade, 1981), wide at
    first, and :math:`w = e^{-\lVert c + d \rVert^2 / \phi^2}`.

    Args:
        features: :math:`f` (B, D, h, w), h = w, of cells that cover the image.
        template: :math:`T` (D, n, n), the features that belong to cells that cover the frame.
        coords: Maps (B, 2, H, W).
        strength: :math:`s`.
        spread: :math:`\sigma`, in units of the frame.
        window: Standard deviation of :math:`G`, in cells of the features.
        smoothing: That of the Gaussian that smooths maps first, as a fraction of their side.
        focus: :math:`\phi`, in units of the frame: the object is nearer to the center.

    Returns:
        Maps (B, 2, H, W).
    """
    cells = template.shape[-1]
    padded = F.pad(template, (1, 1, 1, 1), mode='replicate')
    along_x = cells / 4 * (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2])
    along_y = cells / 4 * (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1])
    stack = torch.cat([template, along_x, along_y]).expand(coords.shape[0], -1, -1, -1)
    height, width = coords.shape[-2:]
    grid = canonical_grid(height, width, device=coords.device, dtype=coords.dtype)
    coords = grid + gaussian_blur(coords - grid, smoothing * width)
    start = coords_at_cells(coords, features.shape[-1])
    move = torch.zeros_like(start)
    for step in range(1, STEPS + 1):
        place = start + move
        mean, dx, dy = sample_cells(stack, place).chunk(3, 1)
        error = features - mean + dx * move[:, :1] + dy * move[:, 1:]
        terms = [dx * dx, dx * dy, dy * dy, dx * error, dy * error]
        weight = strength * (-place.square().sum(1, keepdim=True) / focus**2).exp()
        sums = weight * torch.stack([term.sum(1) for term in terms], 1)
        xx, xy, yy, x, y = gaussian_blur(sums, window * max(4 / step, 1)).unbind(1)
        xx, yy = xx + spread**-2, yy + spread**-2
        best = torch.stack([yy * x - xy * y, xx * y - xy * x], 1) / (xx * yy - xy**2)[:, None]
        move = gaussian_blur(best.clamp(-3 * spread, 3 * spread), 1.0)
    return coords + F.interpolate(move, (height, width), mode='bilinear', align_corners=False)


def cell_centers(side: int, like: Tensor) -> Tensor:
    """Centers (2, side, side) of square cells that cover [-1, 1]^2, x first."""
    centers = (torch.arange(side, device=like.device) + 0.5) * 2 / side - 1
    return torch.stack(torch.meshgrid(centers, centers, indexing='xy')).to(like)


def coords_at_cells(coords: Tensor, side: int) -> Tensor:
    """Maps (B, 2, H, W) at the centers of cells that cover the image: (B, 2, side, side)."""
    places = cell_centers(side, coords).expand(coords.shape[0], -1, -1, -1)
    return sample_cells(coords, places)


def sample_cells(values: Tensor, places: Tensor) -> Tensor:
    """Values (B, C, h, w) of cells that cover [-1, 1]^2, at places (B, 2, H, W); bilinear."""
    grid = places.permute(0, 2, 3, 1)
    return F.grid_sample(values, grid, padding_mode='border', align_corners=False)


def gaussian_blur(values: Tensor, sigma: float) -> Tensor:
    """Convolve the last two dimensions with a Gaussian of ``sigma`` pixels; edges are mirrored."""
    reach = min(int(3 * sigma) or 1, min(values.shape[-2:]) - 1)
    offsets = torch.arange(-reach, reach + 1, device=values.device)
    kernel = (-0.5 * (offsets / sigma) ** 2).exp()
    kernel = (kernel / kernel.sum()).to(values)
    flat = F.pad(values.flatten(0, -3)[:, None], (reach,) * 4, mode='reflect')
    flat = F.conv2d(flat, kernel.view(1, 1, 1, -1))
    return F.conv2d(flat, kernel.view(1, 1, -1, 1)).view(values.shape)
