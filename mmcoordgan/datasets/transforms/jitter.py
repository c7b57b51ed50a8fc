"""Move samples, so that alignment of a data set cannot help a method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from mmcv.transforms import BaseTransform

from mmcoordgan.registry import TRANSFORMS

ANGLE, SMALLEST, LARGEST, SHIFT = 18, 0.82, 1.2, 0.12
"""Largest rotation in degrees, magnifications, largest shift as a fraction of the sides."""


@TRANSFORMS.register_module()
@dataclass(eq=False)
class SimilarityJitter(BaseTransform):
    """Rotate, scale and shift an image with its labels and points, the same way every time.

    The similarity is a function of ``(seed, sample_idx)`` alone, so that all methods, runs and
    processes see the same images. Moves ``img``, ``gt_seg_map`` (nearest label), ``gt_soft_seg``
    and ``gt_coords`` (bilinear) and ``gt_points``. Image and labels may differ in size. Beyond the
    border they continue as their mirror image. Points that leave the frame lie outside [0, 1].

    Convention: angles turn from x to y (clockwise as seen), about the centre of the image. Shifts
    are fractions of width and height.

    Args:
        seed: Non-negative seed.
        strength: 0 leaves samples as they are; 1 rotates them by up to 18 degrees, scales them by
            0.82 to 1.2 and shifts them by up to 12 % of the sides.
    """

    seed: int = 0
    strength: float = 1.0

    def draw(self, sample_idx: int) -> tuple[np.ndarray, np.ndarray]:
        """Rotation times scale (2, 2), and shift (2,) in fractions of width and height.

        A point p pixels from the centre moves to ``matrix @ p + shift * (width, height)``.
        """
        rng = np.random.default_rng((self.seed, sample_idx))
        turn, grow, *shift = rng.uniform(-1, 1, 4) * self.strength
        angle = np.deg2rad(ANGLE * turn)
        scale = 1 + grow * (LARGEST - 1 if grow > 0 else 1 - SMALLEST)
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        return np.array([[cos, -sin], [sin, cos]]), SHIFT * np.array(shift)

    def transform(self, results: dict) -> dict:
        if self.strength == 0:
            return results
        matrix, shift = self.draw(int(results['sample_idx']))
        height, width = results['img'].shape[:2]
        sides = np.array([width, height])
        matrix = matrix * sides / sides[:, None]  # from fractions to fractions
        inverse = np.linalg.inv(matrix)
        # What each place of the result shows, in [-1, 1]: see F.affine_grid.
        theta = torch.from_numpy(np.concatenate([inverse, -2 * inverse @ shift[:, None]], 1))
        image = _sample(results['img'].transpose(2, 0, 1), theta)
        results['img'] = np.rint(image.transpose(1, 2, 0)).clip(0, 255).astype(np.uint8)
        if (labels := results.get('gt_seg_map')) is not None:
            results['gt_seg_map'] = _sample(labels[None], theta, 'nearest')[0].astype(labels.dtype)
        for key in ('gt_soft_seg', 'gt_coords'):
            if results.get(key) is not None:
                results[key] = _sample(results[key], theta).astype(np.float32)
        if (points := results.get('gt_points')) is not None:
            moved = (points - 0.5) @ matrix.T + 0.5 + shift
            results['gt_points'] = moved.astype(np.float32)
        return results


def _sample(values: np.ndarray, theta: torch.Tensor, mode: str = 'bilinear') -> np.ndarray:
    """(C, H, W) where ``theta`` (2, 3) leads, reflected at the border; float64."""
    given = torch.from_numpy(values.astype(np.float64))[None]
    grid = F.affine_grid(theta[None], list(given.shape), align_corners=False)
    moved = F.grid_sample(given, grid, mode, padding_mode='reflection', align_corners=False)
    return moved[0].numpy()
