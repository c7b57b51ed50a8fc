"""The image discriminator: StyleGAN2's residual network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmcoordgan.registry import MODELS

from .layers import EqualizedConv2d, EqualizedLinear, ResidualDown, check_power_of_two

LAST_RESOLUTION = 4


@MODELS.register_module()
class CoordGANDiscriminator(nn.Module):
    """Real or generated, for whole images (StyleGAN2's residual discriminator).

    Args:
        image_size: Side of the largest image, a power of two >= 8.
        input_sizes: Sides that have a from-RGB layer of their own: smaller images than
            ``image_size`` enter at a later block; layers for larger ones are only stored (the
            reference's checkpoints hold them). Default: ``image_size`` only.
        channels: Largest number of channels.
        channel_base: At resolution r there are ``channel_base // r`` channels, at most
            ``channels``.
        stddev_group: Largest group over which the minibatch standard deviation is taken; a batch
            that it does not divide uses the largest divisor below.
    """

    def __init__(
        self,
        *,
        image_size: int = 128,
        input_sizes: Sequence[int] | None = None,
        channels: int = 512,
        channel_base: int = 32768,
        stddev_group: int = 4,
    ):
        super().__init__()
        check_power_of_two('image_size', image_size, 2 * LAST_RESOLUTION)
        input_sizes = tuple(input_sizes or (image_size,))
        self.image_size = image_size
        self.stddev_group = stddev_group

        def width(resolution: int) -> int:
            return min(channels, channel_base // resolution)

        self.from_rgb = nn.ModuleDict(
            {str(size): EqualizedConv2d(3, width(size), 1, activation=True) for size in input_sizes}
        )
        self.blocks = nn.ModuleDict()
        resolution = image_size
        while resolution > LAST_RESOLUTION:
            self.blocks[str(resolution)] = ResidualDown(width(resolution), width(resolution // 2))
            resolution //= 2
        last = width(LAST_RESOLUTION)
        self.last_conv = EqualizedConv2d(last + 1, last, 3, padding=1, activation=True)
        self.head = nn.Sequential(
            EqualizedLinear(last * LAST_RESOLUTION**2, last, activation=True),
            EqualizedLinear(last, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, S, S) in [-1, 1] -> logits (B, 1), larger for real."""
        size = images.shape[-1]
        accepted = [int(side) for side in self.from_rgb if int(side) <= self.image_size]
        if images.dim() != 4 or images.shape[-2] != size or size not in accepted:
            raise ValueError(
                f'images must have shape (B, 3, S, S) with S in {accepted}, '
                f'but got {tuple(images.shape)}'
            )
        x = self.from_rgb[str(size)](images)
        for resolution, block in self.blocks.items():
            if int(resolution) <= size:
                x = block(x)
        x = torch.cat([x, minibatch_stddev(x, self.stddev_group)], dim=1)
        return self.head(self.last_conv(x).flatten(1))


def minibatch_stddev(x: Tensor, max_group: int) -> Tensor:
    """One channel (B, 1, H, W): the mean standard deviation over groups of the batch.

    Groups interleave as in StyleGAN2: with G groups, images k, k + G, k + 2G ... share one.
    """
    batch, _, height, width = x.shape
    group = max(n for n in range(1, max_group + 1) if batch % n == 0)
    precise = x.to(torch.promote_types(x.dtype, torch.float32))
    grouped = precise.unflatten(0, (group, batch // group))  # (group, G, C, H, W)
    stddev = (grouped.var(0, unbiased=False) + 1e-8).sqrt()
    stddev = stddev.mean(dim=(1, 2, 3)).repeat(group).to(x.dtype)  # (B,)
    return stddev[:, None, None, None].expand(-1, 1, height, width)
