"""Argument checks shared by the coordinate functions."""

from __future__ import annotations

import math

from torch import Tensor

LIMIT = 1e12
"""Largest coordinate that distances can be computed of in float32, with room to spare."""
SMALLEST_TEMPERATURE = 1e-30


def check_coords(name: str, coords: Tensor) -> None:
    """Raise ValueError unless ``coords`` is a batch of coordinate maps (B, 2, H, W)."""
    if coords.dim() != 4 or coords.shape[1] != 2 or coords.numel() == 0:
        raise ValueError(
            f'{name} must have shape (B, 2, H, W) with no empty dimension, '
            f'but got {tuple(coords.shape)}'
        )
    if not coords.is_floating_point():
        raise ValueError(f'{name} must be floating point, but got {coords.dtype}')


def check_range(name: str, coords: Tensor, finite: bool) -> None:
    """Raise ValueError if coordinates are beyond :data:`LIMIT`, or not finite if ``finite``."""
    size = coords.detach().abs()
    wrong = ~(size <= LIMIT) if finite else (size > LIMIT) & (size != math.inf)
    if wrong.any():
        raise ValueError(
            f'{name} must be finite and within +-{LIMIT:g} (the frame is [-1, 1]), but '
            f'{int(wrong.sum())} of {coords.numel()} values are not, such as '
            f'{float(coords.detach()[wrong][0])}'
        )


def without_far(points: Tensor) -> Tensor:
    """NaN in place of what :func:`check_range` refuses: the host need not wait for a GPU."""
    return points.masked_fill(points.detach().abs() > LIMIT, math.nan)


def check_temperature(temperature: float) -> float:
    """The temperature as a number; ValueError if it is too small, infinite or learned."""
    if isinstance(temperature, Tensor) and temperature.requires_grad:
        raise ValueError('temperature must be a number: no gradient reaches it')
    temperature = float(temperature)
    if not SMALLEST_TEMPERATURE <= temperature < math.inf:
        raise ValueError(
            f'temperature must be positive, at least {SMALLEST_TEMPERATURE} and finite, but got '
            f'{temperature}'
        )
    return temperature


def check_transfer(values: Tensor, source_coords: Tensor, target_coords: Tensor) -> None:
    """Raise ValueError unless values fit to two coordinate maps, and all batch sizes together."""
    if values.dim() != 4 or values.shape[1] == 0:
        raise ValueError(
            f'values must have shape (B, C, Hs, Ws) with C >= 1, but got {tuple(values.shape)}'
        )
    if values.shape[-2:] != source_coords.shape[-2:]:
        raise ValueError(
            f'values {tuple(values.shape)} and source_coords {tuple(source_coords.shape)} must '
            'have the same height and width: resize one of them'
        )
    sizes = [values.shape[0], source_coords.shape[0], target_coords.shape[0]]
    if len({*sizes} - {1}) > 1 or not values.shape[0]:
        raise ValueError(
            'values, source_coords and target_coords must have the same batch size, or 1, but got '
            f'{sizes[0]}, {sizes[1]} and {sizes[2]}'
        )
