"""A U-Net from images to correspondence maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmcoordgan.geometry import canonical_grid
from mmcoordgan.models.images import resize_square
from mmcoordgan.registry import MODELS

from .layers import check_power_of_two
from .protocols import Encoding


class ConvUnit(nn.Sequential):
    """3x3 convolution, batch normalization, leaky ReLU."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1):
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.LeakyReLU(0.1, inplace=True),
        )


@MODELS.register_module()
class DenseEncoder(nn.Module):
    """Images -> correspondence maps, pixel by pixel, and a texture code.

    A U-Net gives the map itself, where :class:`~.CoordGANEncoder` squeezes it into one structure
    code: it reaches shapes that the generator never drew. The map starts as the canonical grid.
    The texture code, one for all layers, is a linear function of the pooled features.

    Args:
        input_size: Side of the square image that the network sees, a power of two.
        work_size: Side at which the network works: ``input_size``, or ``input_size / 2``, which
            takes a quarter of the time; the map is then enlarged (bilinear).
        texture_width: Length of the texture code.
        channels: Widths from the finest to the coarsest level; each level halves the size.
    """

    structure_width = None
    num_texture_codes = 1

    def __init__(
        self,
        *,
        input_size: int = 64,
        work_size: int | None = None,
        texture_width: int = 512,
        channels: Sequence[int] = (32, 48, 80, 112),
    ):
        super().__init__()
        work_size = work_size or input_size
        check_power_of_two('input_size', input_size, 2 ** len(channels))
        if work_size not in (input_size, input_size // 2) or len(channels) < 2:
            raise ValueError(
                f'work_size must be {input_size} or {input_size // 2}, and channels two widths or '
                f'more, but got {work_size} and {tuple(channels)}'
            )
        self.input_size = self.map_size = self._side = input_size
        self.texture_width = texture_width
        steps = list(zip(channels, channels[1:]))
        first = channels[0]
        self.stem = nn.Sequential(
            ConvUnit(3, first, input_size // work_size), ConvUnit(first, first)
        )
        self.down = nn.ModuleList(
            nn.Sequential(ConvUnit(a, b, 2), ConvUnit(b, b)) for a, b in steps
        )
        self.middle = ConvUnit(channels[-1], channels[-1])
        self.up = nn.ModuleList(ConvUnit(a + b, a) for a, b in reversed(steps))
        self.to_map = nn.Conv2d(first, 2, 1)
        for parameter in self.to_map.parameters():
            nn.init.zeros_(parameter)
        self.to_texture = nn.Linear(channels[-1], texture_width)

    def forward(self, images: Tensor) -> Encoding:
        """RGB images (B, 3, H, W) in [-1, 1] -> texture codes (B, texture_width) and maps
        (B, 2, S, S) in about [-1, 1], S being ``input_size``; no structure code.
        """
        features = [self.stem(resize_square(images, self._side))]
        for down in self.down:
            features.append(down(features[-1]))
        x = self.middle(features.pop())
        texture_w = self.to_texture(x.mean(dim=(2, 3)))
        for up in self.up:
            x = F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)
            x = up(torch.cat([x, features.pop()], 1))
        with torch.autocast(x.device.type, enabled=False):  # rounding would move the map
            offsets = self.to_map(x.float())
        if offsets.shape[-1] != self._side:
            offsets = F.interpolate(offsets, scale_factor=2, mode='bilinear', align_corners=False)
        height, width = offsets.shape[-2:]
        grid = canonical_grid(height, width, offsets.device, offsets.dtype)
        return Encoding(None, texture_w, grid + offsets)
