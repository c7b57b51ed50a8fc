"""Resize pictures inside the model."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def resize_square(images: Tensor, size: int) -> Tensor:
    """Pictures (B, 3, H, W), resized bilinearly with antialiasing to ``size`` x ``size``."""
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(
        images, size=(size, size), mode='bilinear', align_corners=False, antialias=True
    )
