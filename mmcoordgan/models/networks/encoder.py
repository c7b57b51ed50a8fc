"""The encoder: find the structure and texture codes of an image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmcoordgan.models.images import resize_square
from mmcoordgan.registry import MODELS

from .layers import (
    EqualizedConv2d,
    EqualizedLinear,
    PaddedDown,
    ResidualDown,
    check_power_of_two,
)
from .protocols import Encoding


@MODELS.register_module()
class CoordGANEncoder(nn.Module):
    """Images -> codes of the generator (CoordGAN); defaults are the published ones.

    A residual trunk (Swapping Autoencoder, arXiv:2007.00653) with two heads. The structure head
    keeps the positions of its features; the texture head averages over them. The codes are w codes:
    they bypass the generator's mapping networks.

    Args:
        input_size: Side of the square image that the network sees, a power of two; others are
            resized to it with antialiasing.
        structure_width: Length of the structure code.
        texture_width: Length of a texture code.
        num_texture_codes: The generator's ``num_texture_codes`` (W+, one per layer), or 1 (W).
        channels: Widths of the trunk, first that of the 1x1 layer behind the image, then one
            for each residual block, which halves height and width.
        structure_channels: Channels of the structure head before it is flattened.
        texture_channels: Widths of the texture head's layers, each of which halves both sides.
    """

    def __init__(
        self,
        *,
        input_size: int = 128,
        structure_width: int = 512,
        texture_width: int = 512,
        num_texture_codes: int = 12,
        channels: Sequence[int] = (32, 64, 128, 256, 512),
        structure_channels: int = 64,
        texture_channels: Sequence[int] = (1024, 2048),
    ):
        super().__init__()
        halvings = len(channels) - 1 + len(texture_channels)
        # Reflection by two pixels needs blocks of at least 4 x 4.
        check_power_of_two('input_size', input_size, max(2**halvings, 2 ** len(channels)))
        self.input_size = input_size
        self.structure_width = structure_width
        self.texture_width = texture_width
        self.num_texture_codes = num_texture_codes

        self.from_rgb = EqualizedConv2d(3, channels[0], 1, activation=True)
        self.blocks = nn.Sequential(
            *(ResidualDown(a, b, reflected=True) for a, b in zip(channels, channels[1:]))
        )
        last, side = channels[-1], input_size >> (len(channels) - 1)
        self.structure_conv = nn.Sequential(
            EqualizedConv2d(last, last, 1, activation=True),
            EqualizedConv2d(last, structure_channels, 1),
        )
        self.structure_head = EqualizedLinear(structure_channels * side**2, structure_width)
        widths = (last, *texture_channels)
        self.texture_blocks = nn.Sequential(*(PaddedDown(a, b) for a, b in zip(widths, widths[1:])))
        self.texture_heads = nn.ModuleList(
            EqualizedLinear(widths[-1], texture_width) for _ in range(num_texture_codes)
        )

    def forward(self, images: Tensor) -> Encoding:
        """RGB images (B, 3, H, W) in [-1, 1] -> structure codes (B, structure_width) and texture
        codes (B, num_texture_codes, texture_width), or (B, texture_width) if that number is 1.
        """
        x = self.blocks(self.from_rgb(resize_square(images, self.input_size)))  # (B, C, h, w)
        structure_w = self.structure_head(self.structure_conv(x).flatten(1))
        pooled = self.texture_blocks(x).mean(dim=(2, 3))
        codes = [head(pooled) for head in self.texture_heads]
        return Encoding(structure_w, codes[0] if len(codes) == 1 else torch.stack(codes, dim=1))
