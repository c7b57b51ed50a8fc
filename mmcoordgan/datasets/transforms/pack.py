"""From a results dict to what the models take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import BaseDataElement, PixelData

from mmcoordgan.registry import TRANSFORMS

META_KEYS = ('img_path', 'sample_idx', 'ori_shape', 'img_shape', 'scale_factor', 'flip')


@TRANSFORMS.register_module()
@dataclass(eq=False)
class PackInputs(BaseTransform):
    """Turn a results dict into what the models take; the last step of a pipeline.

    Returns a dict of

    * ``inputs``: uint8 tensor (3, H, W), RGB in 0..255, from ``img`` (H, W, 3).
    * ``data_samples``: ``BaseDataElement`` with ``gt_sem_seg.data`` (1, H, W) int64, from
      ``gt_seg_map`` (H, W); and as float32 ``gt_coords.data`` (2, H, W), ``gt_soft_seg.data``
      (C, H, W) and ``gt_points`` (K, 2), each where the data set provides it; and ``META_KEYS``.

    Args:
        bgr_to_rgb: Reverse the channels. Needed behind mmcv's ``LoadImageFromFile``, wrong behind
            this package's ``LoadImage`` and ``ToyFaces``.

    Raises:
        ValueError: ``img`` is not (H, W, 3) uint8, or a ground truth has another height and width
            than the image.
    """

    bgr_to_rgb: bool = False

    def transform(self, results: dict) -> dict:
        image = results['img']
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(
                f'PackInputs expects img as (H, W, 3) uint8, got {image.shape} {image.dtype}'
            )
        if self.bgr_to_rgb:
            image = image[:, :, ::-1]
        sample = BaseDataElement(metainfo={k: results[k] for k in META_KEYS if k in results})
        for key in ('gt_seg_map', 'gt_coords', 'gt_soft_seg'):
            if results.get(key) is None:
                continue
            values = torch.from_numpy(np.array(results[key], order='C'))
            if values.shape[-2:] != image.shape[:2]:
                raise ValueError(
                    f'{key} is {values.shape[-2]}x{values.shape[-1]} but the image is '
                    f'{image.shape[0]}x{image.shape[1]} ({results.get("img_path", "no file")})'
                )
            if key == 'gt_seg_map':
                sample.gt_sem_seg = PixelData(data=values[None].long())  # (1, H, W)
            else:
                setattr(sample, key, PixelData(data=values.float()))  # (C, H, W)
        if results.get('gt_points') is not None:
            sample.gt_points = torch.from_numpy(np.array(results['gt_points'], np.float32))
        inputs = torch.from_numpy(np.array(image.transpose(2, 0, 1), order='C'))  # (3, H, W)
        return {'inputs': inputs, 'data_samples': sample}
