"""Perceptual distances: compute features once, compare them often; one without trained weights."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmcoordgan.registry import MODELS


class PerceptualDistance(nn.Module):
    """Base of the perceptual distances: features of images, and a distance between features.

    A new distance is a subclass with ``features`` and ``distance``. ``forward(x, y)`` is
    ``loss_weight * distance(features(x), features(y))``, (B,).
    """

    def __init__(self, loss_weight: float = 1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def features(self, images: Tensor) -> list[Tensor]:
        """RGB images (B, 3, H, W) in [-1, 1] -> feature maps (B, C_k, H_k, W_k), normalized."""
        raise NotImplementedError

    def distance(self, x: list[Tensor], y: list[Tensor]) -> Tensor:
        """Distances (B,), >= 0, between the features of the images of two batches."""
        raise NotImplementedError

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.loss_weight * self.distance(self.features(x), self.features(y))


def structure_tensor(images: Tensor) -> Tensor:
    r"""Locally normalized colour structure tensor of images (B, 3, H, W) in [-1, 1].

    :math:`J = \sum_c (g_x^2, g_y^2, \sqrt2 g_x g_y)` over the colour channels, with Sobel
    gradients; divided by its trace, and multiplied by :math:`\sqrt{t / (t + \bar t)}` with the
    trace's mean :math:`\bar t` over 5 x 5 pixels. It does not change when colours are rotated or
    negated, nor with local contrast. Same shape, entries in [-1, 1].
    """
    channels = images.shape[1]
    kernels = _sobel(images.device, images.dtype).repeat(channels, 1, 1)[:, None]
    # Edges are repeated; torch.compile fails on the backward pass of F.pad(mode='replicate').
    padded = torch.cat([images[:, :, :1], images, images[:, :, -1:]], dim=2)
    padded = torch.cat([padded[..., :1], padded, padded[..., -1:]], dim=3)
    gradients = F.conv2d(padded, kernels, groups=channels).unflatten(1, (channels, 2))
    gx, gy = gradients.unbind(dim=2)  # (B, 3, H, W)
    tensor = torch.stack([gx.square().sum(1), gy.square().sum(1), 2**0.5 * (gx * gy).sum(1)], dim=1)
    trace = tensor[:, :1] + tensor[:, 1:2] + 2e-3  # (B, 1, H, W)
    around = F.avg_pool2d(trace, 5, stride=1, padding=2, count_include_pad=False)
    return tensor / trace * (trace / (trace + around)).sqrt()


@lru_cache(maxsize=8)
def _sobel(device: torch.device, dtype: torch.dtype) -> Tensor:
    """(2, 3, 3): for x and y; kept on the device, because copying makes the host wait."""
    with torch.inference_mode(False):  # training may come after
        sobel = torch.tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=dtype).to(device) / 8
        return torch.stack([sobel, sobel.t()])


@MODELS.register_module()
class StructureTensorLoss(PerceptualDistance):
    """Distance between structure tensors at ``num_scales`` scales, each half the size of the one
    before; needs no trained weights. ``loss_weight``: see :class:`PerceptualDistance`.
    """

    def __init__(self, loss_weight: float = 1.0, num_scales: int = 3):
        super().__init__(loss_weight)
        self.num_scales = num_scales

    def features(self, images: Tensor) -> list[Tensor]:
        result = [structure_tensor(images)]
        for _ in range(self.num_scales - 1):
            images = F.avg_pool2d(images, 2)
            result.append(structure_tensor(images))
        return result

    def distance(self, x: list[Tensor], y: list[Tensor]) -> Tensor:
        scales = [(a - b).square().sum(1).mean(dim=(1, 2)) for a, b in zip(x, y)]
        return torch.stack(scales).mean(0)
