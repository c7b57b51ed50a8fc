"""Random smooth warps, of which the exact effect on images and maps is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .grid import canonical_grid


@dataclass(frozen=True)
class RandomWarps:
    """A distribution of warps: a similarity, an aspect change and a shear, and smooth bending.

    Convention: a warp is a map (2, H, W) on the align-corners grid of the warped image; its value
    at a pixel is the place in [-1, 1]^2 of the source image that the pixel shows, x first.

    Args:
        angle: Largest rotation in degrees, either way.
        scale: Largest magnification, at least 1; its inverse is the smallest one.
        shift: Largest shift in x and in y, in units of the frame [-1, 1]; 1 is half a side.
        stretch: Standard deviation of the logarithm of the aspect ratio, and of the shear.
        bend: Standard deviation of the displacements of neighboring control points, in units of
            their spacing. Above about 0.4, warps begin to fold.
        control_points: Numbers of control points per side to choose from, each at least 2. Every
            warp adds two bendings; few points bend the whole image, many points its details.
    """

    angle: float = 25.0
    scale: float = 1.3
    shift: float = 0.3
    stretch: float = 0.12
    bend: float = 0.25
    control_points: Sequence[int] = (3, 4, 5, 7, 9)

    def __post_init__(self) -> None:
        if self.scale < 1 or min(self.angle, self.shift, self.stretch, self.bend) < 0:
            raise ValueError(f'warps need scale >= 1 and no negative argument, but got {self}')
        if not self.control_points or min(self.control_points) < 2:
            raise ValueError(f'control_points must be numbers of at least 2, but got {self}')

    def draw(self, batch: int, size: int, generator: torch.Generator | None = None) -> Tensor:
        """``batch`` warps (B, 2, size, size) of images of this size, float32 on the CPU.

        Places outside [-1, 1] lie outside the source. ``generator`` is the source of random
        numbers, by default PyTorch's global one on the CPU.
        """

        def uniform(*shape: int) -> Tensor:
            return 2 * torch.rand(*shape, generator=generator) - 1

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator)

        angle = math.radians(self.angle) * uniform(batch)
        scale = torch.exp(math.log(self.scale) * uniform(batch))
        cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
        turn = torch.stack([cos, sin, -sin, cos], -1).view(-1, 2, 2)
        aspect = self.stretch * normal(batch)
        shear = self.stretch * normal(batch, 2)
        stretch = torch.diag_embed(torch.stack([aspect, -aspect], -1).exp())
        stretch = stretch + torch.diag_embed(shear).flip(-1)
        places = canonical_grid(size, size).flatten(1)  # (2, H*W)
        shift = self.shift * uniform(batch, 2, 1)
        warp = (stretch @ turn @ (places - shift)).view(batch, 2, size, size)
        for _ in range(2):
            choice = torch.randint(len(self.control_points), (), generator=generator)
            points = self.control_points[int(choice)]
            strength = self.bend * 2 / (points - 1) * (0.6 + 0.4 * uniform(batch, 1, 1, 1))
            bending = strength * normal(batch, 2, points, points)
            warp = warp + F.interpolate(bending, (size, size), mode='bicubic', align_corners=True)
        return warp


def sample_image(values: Tensor, warp: Tensor) -> Tensor:
    """What warps (B, 2, H, W), see :class:`RandomWarps`, show of images or maps (B, C, h, w).

    Bilinear, (B, C, H, W); beyond the border the source continues as its mirror image.
    """
    places = warp.permute(0, 2, 3, 1).to(values.dtype)
    return F.grid_sample(values, places, padding_mode='reflection', align_corners=True)
