"""A generator whose images are known by hand."""

import numpy as np
import torch
from torch import nn

from mmcoordgan.geometry import canonical_grid


class Generator(nn.Module):
    """Structure shrinks the frame; texture is the colour, and the map's x its brightness."""

    structure_dim, texture_dim = 1, 3

    def __init__(self, size: int = 8, scale: int = 1):
        super().__init__()
        self.base_resolution, self.scale = size, scale
        self.factor = nn.Parameter(torch.ones(()))
        self.dropout = nn.Dropout(0.5)

    def map_structure(self, z):
        return z * self.factor

    def map_texture(self, z):
        return z

    def warp(self, structure_w):
        size = self.base_resolution
        return canonical_grid(size, size)[None] * structure_w[:, :, None, None]

    def synthesize(self, coords, texture_w):
        image = self.dropout(texture_w[:, :, None, None] * coords[:, :1])
        return image.repeat_interleave(self.scale, -1).repeat_interleave(self.scale, -2)


def painted(structure: float, texture: tuple[float, ...], size: int = 8) -> np.ndarray:
    """What it draws, (size, size, 3) in 0..255."""
    x = canonical_grid(size, size)[0].numpy() * structure
    return np.rint((np.multiply.outer(x, np.float32(texture)) + 1) * 127.5)
