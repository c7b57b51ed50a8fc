"""Transforms that move or resize images together with their labels and points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from mmcv.transforms import BaseTransform
from mmcv.transforms import RandomFlip as MMCVRandomFlip
from PIL import Image

from mmcoordgan.registry import TRANSFORMS


def resize_labels(
    labels: np.ndarray, num_classes: int, size: int, ignore_index: int | None = None
) -> np.ndarray:
    """Soft one-hot labels at another size: one-hot maps, resized bilinearly.

    Without antialiasing, as in CoordGAN's benchmarks. Void pixels are zero in all maps.

    Convention: corners are not aligned (``align_corners=False``), as for resizing images.

    ``labels`` (H, W) are integers in 0..num_classes-1 or ``ignore_index`` (void). Returns
    (num_classes, size, size) float32; a pixel's sum is the fraction of it that is not void.
    """
    soft = np.zeros((num_classes, size, size), np.float32)
    for label in range(num_classes):  # one at a time: masks may be much larger than the result
        if label != ignore_index:
            mask = torch.from_numpy(labels == label)[None, None].float()
            resized = F.interpolate(mask, (size, size), mode='bilinear', align_corners=False)
            soft[label] = resized[0, 0].numpy()
    return soft


@TRANSFORMS.register_module()
@dataclass(eq=False)
class ResizeWithSoftLabels(BaseTransform):
    """Resize an image and, where it has some, its labels to a square, as CoordGAN's benchmarks do.

    The image is resized by Pillow (bilinear, antialiased), without keeping its aspect ratio; the
    labels by :func:`~mmcoordgan.datasets.transforms.resize_labels`. Image and labels may come at
    different sizes.

    Reads ``img``, ``gt_seg_map`` (H, W), ``num_classes`` and, where there are void pixels,
    ``ignore_index``. Replaces ``img`` and ``img_shape``, adds ``gt_soft_seg``
    (num_classes, size, size) float32, and replaces ``gt_seg_map`` by its arg max (size, size).
    Ties go to the lowest class; a pixel is void where more than half of it is.
    """

    size: int

    def transform(self, results: dict) -> dict:
        image = Image.fromarray(results['img'])
        shape = (self.size, self.size)
        results['img'] = np.array(image.resize(shape, Image.Resampling.BILINEAR))
        results['img_shape'] = shape
        labels = results.get('gt_seg_map')
        if labels is not None:
            void = results.get('ignore_index')
            soft = resize_labels(labels, results['num_classes'], self.size, void)
            hard = soft.argmax(0)
            if void is not None:
                hard[soft.sum(0) < 0.5] = void
            results['gt_soft_seg'], results['gt_seg_map'] = soft, hard.astype(labels.dtype)
        return results


@TRANSFORMS.register_module()
class RandomFlip(MMCVRandomFlip):
    """mmcv's ``RandomFlip`` for all ground truth of this package; same arguments.

    Mirrors ``gt_coords``, ``gt_soft_seg`` and ``gt_points`` as well.

    Convention: the mirror image of the canonical point (x, y) is the point (-x, y): ``gt_coords``
    (2, H, W) is reversed along the width and its x changes sign. Only horizontal flips are defined
    for it. Points keep their order: the point on a left eye stays on it, now a right one.
    """

    def _flip(self, results: dict) -> None:
        super()._flip(results)
        direction = results['flip_direction']
        axes = {'horizontal': (2,), 'vertical': (1,), 'diagonal': (1, 2)}[direction]
        if (soft := results.get('gt_soft_seg')) is not None:
            results['gt_soft_seg'] = np.flip(soft, axes).copy()
        if (points := results.get('gt_points')) is not None:
            results['gt_points'] = np.where([2 in axes, 1 in axes], 1 - points, points)
        if (coords := results.get('gt_coords')) is None:
            return
        if direction != 'horizontal':
            raise ValueError(
                f"canonical coordinates (gt_coords) take direction='horizontal', not {direction!r}"
            )
        sign = np.array([-1, 1], coords.dtype)[:, None, None]
        results['gt_coords'] = coords[:, :, ::-1] * sign
