"""Refine the codes of images by gradient descent, starting from the encoder's."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .images import resize_square
from .losses import PerceptualDistance, l1_loss
from .networks.protocols import Generator


@dataclass(frozen=True)
class Refinement:
    """Refine codes by Adam on ``l1_weight * L1 + perceptual_weight * perceptual``.

    Args:
        steps: Number of gradient steps; 0: no refinement.
        lr: Learning rate.
        l1_weight: Weight of the mean absolute difference of the images.
        perceptual_weight: Weight of their perceptual distance.
    """

    steps: int
    lr: float
    l1_weight: float = 1.0
    perceptual_weight: float = 1.0

    def __post_init__(self) -> None:
        weights = (self.l1_weight, self.perceptual_weight)
        if self.steps < 0 or not self.lr > 0 or min(weights) < 0 or max(weights) == 0:
            raise ValueError(
                f'refinement needs steps >= 0, lr > 0, weights >= 0 and one > 0, but got {self}'
            )


def refine_codes(
    generator: Generator,
    perceptual: PerceptualDistance,
    images: Tensor,
    structure_w: Tensor,
    texture_w: Tensor,
    refinement: Refinement,
) -> tuple[Tensor, Tensor]:
    """Codes with which the generator reproduces the images better; of the same shapes.

    Starts from ``structure_w`` (B, structure_width) and ``texture_w`` (B, texture_width) or (B,
    num_texture_codes, texture_width). Images, RGB (B, 3, H, W) in [-1, 1], are resized to the
    generator's size, and do not influence each other. Works under ``torch.no_grad``; changes no
    network. The generator's parameters should not require gradients; ``perceptual`` may be None
    where its weight is 0.
    """
    images = resize_square(images, generator.image_size).detach()
    codes = [w.detach().clone().requires_grad_() for w in (structure_w, texture_w)]
    optimizer = torch.optim.Adam(codes, lr=refinement.lr)
    with torch.enable_grad():
        target = perceptual.features(images) if refinement.perceptual_weight > 0 else None
        for _ in range(refinement.steps):
            rendered = generator.synthesize(generator.warp(codes[0]), codes[1])
            # Sums over the batch, so that its size changes no image's gradient.
            loss = refinement.l1_weight * len(images) * l1_loss(rendered, images)
            if target is not None:
                distance = perceptual.distance(perceptual.features(rendered), target)
                loss = loss + refinement.perceptual_weight * distance.sum()
            gradients = torch.autograd.grad(loss, codes)
            for code, gradient in zip(codes, gradients):
                code.grad = gradient
            optimizer.step()
    return codes[0].detach(), codes[1].detach()
