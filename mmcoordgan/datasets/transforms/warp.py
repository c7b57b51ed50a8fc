"""Warp training images at random, so that a generator has structure to learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmcoordgan.geometry import RandomWarps, sample_image
from mmcoordgan.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomWarp(BaseTransform):
    """Show the image through a random smooth warp; for training without labels.

    Aligned photographs differ in color more than in shape, and a generator explains their shapes
    by texture. Warped ones make structure worth learning. The image continues beyond its border
    as its mirror image. Labels and points are not moved: use ``SimilarityJitter`` for evaluation.

    Args:
        **warps: As :class:`~mmcoordgan.geometry.RandomWarps`: ``angle``, ``scale``, ``shift``,
            ``stretch``, ``bend``, ``control_points``.
    """

    def __init__(self, **warps: Any) -> None:
        self.warps = RandomWarps(**warps)

    def transform(self, results: dict) -> dict:
        """Warp one image (H, H, 3) uint8."""
        image = torch.from_numpy(results['img'].transpose(2, 0, 1).astype(np.float32))[None]
        moved = sample_image(image, self.warps.draw(1, image.shape[-1]))[0]
        results['img'] = moved.permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy()
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.warps})'
