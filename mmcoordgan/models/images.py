"""Resize images, and turn them into bytes and back."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def resize_square(images: Tensor, size: int) -> Tensor:
    """Resize images (B, 3, H, W) bilinearly with antialiasing to ``size`` x ``size``."""
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(
        images, size=(size, size), mode='bilinear', align_corners=False, antialias=True
    )


def to_bytes(images: Tensor) -> Tensor:
    """Values in [-1, 1] -> uint8 in 0..255, rounded, of the same shape and on the same device.

    Values outside the range are clamped; values that are not finite become black.
    """
    values = images.detach().float()
    values = torch.where(values.isfinite(), values, -torch.ones_like(values)).clamp(-1, 1)
    return ((values + 1) * 127.5).round().to(torch.uint8)


def from_bytes(images: Tensor) -> Tensor:
    """Images (..., H, W, 3) in 0..255 -> values (..., 3, H, W) in [-1, 1], on the same device."""
    return images.movedim(-1, -3) / 127.5 - 1
