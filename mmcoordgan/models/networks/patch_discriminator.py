"""The patch discriminator: do two sets of crops show the same texture?"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mmcoordgan.registry import MODELS

from .layers import EqualizedConv2d, EqualizedLinear, ResidualDown, check_power_of_two


class CropRectangles(NamedTuple):
    """Rectangles to cut from images, image-major: rows k * n ... k * n + n - 1 belong to image k.

    Convention: everything is (x, y) in the frame [-1, 1] of the image; a rectangle covers
    ``offset +- scale``.
    """

    flip: Tensor  # (rows,), -1 where the crop is mirrored horizontally, else 1
    scale: Tensor  # (rows, 2), half the width and height: the side as a fraction of the image's
    offset: Tensor  # (rows, 2), the centre


def crop_images(images: Tensor, rectangles: CropRectangles, crop_size: int) -> Tensor:
    """Images (B, 3, H, W) and n rectangles of each -> crops (B, n, 3, crop_size, crop_size).

    Differentiable in the images.

    Convention: the crop's pixels lie on linspace(-1, 1, crop_size) of the rectangle
    (``align_corners=True``), while the image is sampled bilinearly with
    ``align_corners=False`` and zeros outside, as the reference implementation does.
    """
    batch, rows = images.shape[0], rectangles.flip.shape[0]
    line = torch.linspace(-1, 1, crop_size, device=images.device, dtype=images.dtype)
    flip, scale, offset = (part.to(images) for part in rectangles)
    x = line * (flip * scale[:, 0])[:, None] + offset[:, :1]  # (rows, crop_size)
    y = line * scale[:, 1:] + offset[:, 1:]
    # Bilinear weights of rows and columns; unlike grid_sample, products of matrices have a
    # deterministic gradient on GPUs.
    down, across = _bilinear(y, images.shape[2]), _bilinear(x, images.shape[3])
    with torch.autocast(images.device.type, enabled=False):
        flat = images.transpose(1, 2).flatten(2)  # (B, H, 3 * W)
        tall = down.reshape(batch, -1, images.shape[2]) @ flat  # (B, n * crop_size, 3 * W)
        crops = tall.reshape(rows, -1, images.shape[3]) @ across.mT
    return crops.view(batch, -1, crop_size, 3, crop_size).transpose(2, 3)


def _bilinear(places: Tensor, size: int) -> Tensor:
    """Weights (rows, S, size) of the pixels beside places (rows, S) in the frame; 0 outside."""
    pixels = torch.arange(size, device=places.device, dtype=places.dtype)
    centres = ((places + 1) * size - 1) / 2
    return (1 - (centres[:, :, None] - pixels).abs()).clamp(min=0)


@MODELS.register_module()
class CoordGANPatchDiscriminator(nn.Module):
    """Same texture or not, for sets of crops (Swapping Autoencoder, arXiv:2007.00653, 3.2).

    Args:
        crop_size: Side of the resampled crops in pixels, a power of two >= 8.
        num_crops: Crops per image.
        min_scale: Smallest side of a crop, as a fraction of the image's, > 0.
        max_scale: Largest side, <= 1.
        channels: Largest number of channels.
        channel_base: At resolution r there are ``channel_base // r`` channels, at most
            ``channels``.
        hidden: Width of the decision layer.
    """

    def __init__(
        self,
        *,
        crop_size: int = 32,
        num_crops: int = 8,
        min_scale: float = 1 / 8,
        max_scale: float = 1 / 4,
        channels: int = 256,
        channel_base: int = 2048,
        hidden: int = 1024,
    ):
        super().__init__()
        check_power_of_two('crop_size', crop_size, 8)
        self.crop_size = crop_size
        self.num_crops = num_crops
        self.scales = (min_scale, max_scale)

        def width(resolution: int) -> int:
            return min(channels, channel_base // resolution)

        layers: list[nn.Module] = [
            EqualizedConv2d(3, width(crop_size), 3, padding=1, activation=True)
        ]
        resolution = crop_size
        while resolution > 4:
            layers.append(ResidualDown(width(resolution), width(resolution // 2)))
            resolution //= 2
        layers.append(EqualizedConv2d(width(4), width(4), 3, activation=True))
        self.trunk = nn.Sequential(*layers)
        self.decision = nn.Sequential(
            EqualizedLinear(2 * width(4) * 2 * 2, hidden, activation=True),
            EqualizedLinear(hidden, 1),
        )

    def sample_rectangles(self, num_images: int, device: torch.device | None) -> CropRectangles:
        """Random rectangles inside the image, ``num_crops`` for each of ``num_images``."""
        low, high = self.scales
        u = torch.rand(num_images * self.num_crops, 5, device=device)
        scale = low + (high - low) * u[:, 1:3]
        return CropRectangles(
            flip=torch.where(u[:, 0] < 0.5, -1.0, 1.0),
            scale=scale,
            offset=(2 * u[:, 3:5] - 1) * (1 - scale),
        )

    def crop(self, images: Tensor, rectangles: CropRectangles | None = None) -> Tensor:
        """Square crops of images, by default at random rectangles."""
        if rectangles is None:
            rectangles = self.sample_rectangles(images.shape[0], images.device)
        return crop_images(images, rectangles, self.crop_size)

    def features(self, crops: Tensor) -> Tensor:
        """Crops (B, n, 3, s, s) -> features (B, n, C, 2, 2)."""
        return self.trunk(crops.flatten(0, 1)).unflatten(0, crops.shape[:2])

    def aggregate(self, features: Tensor) -> Tensor:
        """Mean over the crops of an image, repeated for each: (B, n, C, 2, 2) again."""
        return features.mean(1, keepdim=True).expand_as(features)

    def decide(self, reference: Tensor, target: Tensor) -> Tensor:
        """Features (B, n, C, 2, 2) of references and targets -> logits (B * n, 1)."""
        pair = torch.cat([reference.flatten(2), target.flatten(2)], dim=2)
        return self.decision(pair.flatten(0, 1))

    def forward(self, reference_crops: Tensor, target_crops: Tensor) -> Tensor:
        """Crops (B, n, 3, s, s) -> logits (B * n, 1), larger where target crops show the texture
        of the reference crops. These are aggregated over n, target crops judged alone.
        """
        reference, target = self.features(torch.cat([reference_crops, target_crops])).chunk(2)
        return self.decide(self.aggregate(reference), target)
