"""Argument checks shared by the coordinate functions."""

from __future__ import annotations

from torch import Tensor


def check_coords(name: str, coords: Tensor) -> None:
    """Raise ValueError unless ``coords`` is a batch of coordinate maps (B, 2, H, W)."""
    if coords.dim() != 4 or coords.shape[1] != 2 or coords.numel() == 0:
        raise ValueError(
            f'{name} must have shape (B, 2, H, W) with no empty dimension, '
            f'but got {tuple(coords.shape)}'
        )
    if not coords.is_floating_point():
        raise ValueError(f'{name} must be floating point, but got {coords.dtype}')


def check_transfer(values: Tensor, source_coords: Tensor, target_coords: Tensor) -> None:
    """Raise ValueError unless values fit to two coordinate maps, and all batch sizes together."""
    if values.dim() != 4:
        raise ValueError(f'values must have shape (B, C, Hs, Ws), but got {tuple(values.shape)}')
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
