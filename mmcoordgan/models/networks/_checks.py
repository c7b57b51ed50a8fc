"""Argument checks shared by the networks."""

from __future__ import annotations

from torch import Tensor


def check_power_of_two(name: str, value: int, minimum: int) -> None:
    """Raise ValueError unless ``value`` is a power of two of at least ``minimum``."""
    if value < minimum or value & (value - 1):
        raise ValueError(f'{name} must be a power of two of at least {minimum}, but got {value}')


def check_codes(name: str, codes: Tensor, dim: int) -> None:
    """Raise ValueError unless ``codes`` is a batch of vectors (B, dim)."""
    if codes.dim() != 2 or codes.shape[1] != dim:
        raise ValueError(f'{name} must have shape (B, {dim}), but got {tuple(codes.shape)}')


def check_images(images: Tensor) -> None:
    """Raise ValueError unless images have the shape (B, 3, H, W)."""
    if images.dim() != 4 or images.shape[1] != 3:
        raise ValueError(f'images must have shape (B, 3, H, W), but got {tuple(images.shape)}')
