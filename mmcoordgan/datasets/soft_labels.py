"""Labels at the model's resolution."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from mmcv.transforms import BaseTransform
from PIL import Image

from mmcoordgan.registry import TRANSFORMS


def resize_labels(labels: np.ndarray, num_classes: int, size: int) -> np.ndarray:
    """Soft one-hot labels at another size.

    The labels become one-hot maps at their own size, which are resized bilinearly without
    antialiasing (the benchmarks of CoordGAN do so; antialiasing would change their numbers).

    Convention: corners are not aligned (``align_corners=False``), as for resizing images.

    Args:
        labels: (H, W) integer, in 0..num_classes-1.
        num_classes: Number of channels of the result.
        size: Height and width of the result.

    Returns:
        (num_classes, size, size) float32, non-negative, summing to one at every pixel.
    """
    one_hot = F.one_hot(torch.from_numpy(labels).long(), num_classes)  # (H, W, C)
    one_hot = one_hot.permute(2, 0, 1)[None].float()  # (1, C, H, W)
    soft = F.interpolate(one_hot, (size, size), mode='bilinear', align_corners=False)
    return soft[0].numpy()


@TRANSFORMS.register_module()
class ResizeWithSoftLabels(BaseTransform):
    """Resize image and labels to a square as the label transfer benchmarks do.

    The image is resized by Pillow (bilinear, antialiased), without keeping its aspect ratio; the
    labels as :func:`~.resize_labels` says. Image and labels may come at different sizes.

    Reads ``img``, ``gt_seg_map`` (H, W) and ``num_classes``; replaces ``img`` and ``img_shape``,
    adds ``gt_soft_seg`` (num_classes, size, size) float32, and replaces ``gt_seg_map`` by its
    arg max (size, size) uint8, ties going to the lowest class.

    Args:
        size: Height and width of the result.
    """

    def __init__(self, *, size: int) -> None:
        self.size = size

    def transform(self, results: dict) -> dict:
        """Resize one sample."""
        image = Image.fromarray(results['img'])
        shape = (self.size, self.size)
        results['img'] = np.array(image.resize(shape, Image.Resampling.BILINEAR))
        results['img_shape'] = shape
        soft = resize_labels(results['gt_seg_map'], results['num_classes'], self.size)
        results['gt_soft_seg'] = soft
        results['gt_seg_map'] = soft.argmax(0).astype(np.uint8)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(size={self.size})'
