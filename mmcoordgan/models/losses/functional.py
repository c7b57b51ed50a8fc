"""The losses as pure functions: the equations of CoordGAN (arXiv:2203.16521)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmcoordgan.geometry import soft_transfer
from mmcoordgan.models.pairs import swap_partners

from .perceptual import PerceptualDistance


def logistic_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    r"""Discriminator loss :math:`\overline{s(-D(x))} + \overline{s(D(\hat x))}`, s = softplus.

    With patch logits, "real" are crops of the same texture (CoordGAN; GAN loss of
    arXiv:1406.2661). Logits of any shape -> scalar, >= 0.
    """
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def nonsaturating_loss(fake_logits: Tensor) -> Tensor:
    r"""Generator loss :math:`\overline{s(-D(\hat x))}`, s = softplus (arXiv:1406.2661).

    Logits of any shape -> scalar, >= 0.
    """
    return F.softplus(-fake_logits).mean()


def r1_penalty(logits: Tensor, inputs: Sequence[Tensor]) -> Tensor:
    r"""Mean over images of :math:`\sum_x \lVert \nabla_x D \rVert^2` (arXiv:1801.04406).

    ``logits`` of any shape are computed from ``inputs``, tensors (B, ...) that require gradients;
    squares are summed over all other dimensions and over the tensors. Returns a scalar, >= 0,
    differentiable in the network's parameters.
    """
    gradients = torch.autograd.grad(logits.sum(), inputs, create_graph=True)
    squares = [g.square().flatten(1).sum(1) for g in gradients]  # (B,) each
    return torch.stack(squares).sum(0).mean()


def warp_partners(images: Tensor, coords: Tensor, temperature: float = 0.01) -> Tensor:
    """Repaint images (B, 3, H, W) with their partners' colours, along maps (B, 2, H, W).

    Convention: colours travel from the partner (source) to the image (target); images 2k and
    2k + 1 are partners. The temperature is in units of the frame.
    """
    return soft_transfer(swap_partners(images), swap_partners(coords), coords, temperature)


def warp_loss(
    perceptual: PerceptualDistance,
    images: Tensor,
    coords: Tensor,
    target_features: list[Tensor] | None = None,
    temperature: float = 0.01,
) -> Tensor:
    """Mean perceptual distance between :func:`warp_partners` and images, >= 0 (CoordGAN).

    Gradients flow into both coordinate maps and into the partner's colours, not into the target.
    ``images`` (B, 3, H, W), B even, are resized to the maps ``coords`` (B, 2, h, w).
    ``target_features`` are those of the images at that size, where they are known already. The
    temperature is in units of the frame.
    """
    size = coords.shape[-2:]
    if images.shape[-2:] != size:
        images = F.interpolate(images, size=size, mode='bilinear', align_corners=False)
    if target_features is None:
        target_features = perceptual.features(images.detach())
    warped = warp_partners(images, coords, temperature)
    targets = [f.detach() for f in target_features]
    return perceptual.distance(perceptual.features(warped), targets).mean()


def l1_loss(x: Tensor, target: Tensor) -> Tensor:
    r"""Mean absolute difference :math:`\overline{|x - y|}` of images, codes or maps (CoordGAN)."""
    _check_one_shape('x', x, target)
    return (x - target).abs().mean()


def map_distance(coords: Tensor, target: Tensor, focus: float | None = None) -> Tensor:
    r"""Mean distance :math:`\overline{\lVert c(p) - t(p) \rVert}` of maps (B, 2, H, W); a scalar,
    >= 0, in units of the frame.

    The distance is not squared, so that places which no image tells apart do not dominate.
    ``focus`` f, in units of the frame, says where the object is: pixels count by
    :math:`e^{-\lVert t \rVert^2 / f^2}` of their target, plus a little. None: all count the same.
    """
    _check_one_shape('coords', coords, target)
    distance = ((coords - target).square().sum(1) + 1e-6).sqrt()
    if focus is None:
        return distance.mean()
    weight = 0.15 + (-target.square().sum(1) / focus**2).exp()
    return (weight * distance).sum() / weight.sum()


def _check_one_shape(name: str, x: Tensor, target: Tensor) -> None:
    """Raise ValueError where the shapes differ, which would be broadcast."""
    if x.shape != target.shape:
        shapes = f'{tuple(x.shape)} and {tuple(target.shape)}'
        raise ValueError(f'{name} and target must have one shape, but got {shapes}')
