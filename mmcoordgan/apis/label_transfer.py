"""Labels of one or several references, carried to other pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmcoordgan.datasets.transforms import resize_labels
from mmcoordgan.evaluation.transfer_metric import transfer_all
from mmcoordgan.geometry import IndexedCoords


def soft_labels(labels: np.ndarray, classes: Iterable[int], size: int) -> Tensor:
    """Soft one-hot labels of some classes at another size.

    As :func:`mmcoordgan.datasets.transforms.resize_labels`, but one class at a time: masks may be
    much larger than maps.

    Args:
        labels: (H, W) integer.
        classes: C of them.
        size: Height and width of the result.

    Returns:
        (C, size, size) float32 in [0, 1].
    """
    masks = ((labels == label).astype(np.uint8) for label in classes)
    return torch.from_numpy(np.stack([resize_labels(mask, 2, size)[1] for mask in masks]))


class LabelledReferences:
    """Pictures with labels, ready to be carried to any number of others.

    Labels are brought to the size of the maps as in
    :class:`~mmcoordgan.datasets.ResizeWithSoftLabels`, and references are fused as in the
    ``fused_iou`` of :class:`~mmcoordgan.evaluation.SegTransferIoU`: the mean of what they carry.

    Args:
        coords: Maps (K, 2, h, w), h = w.
        labels: K label maps (H, W) of any size, in 0..255.
    """

    def __init__(self, coords: Tensor, labels: Sequence[np.ndarray]) -> None:
        self.coords = IndexedCoords(coords)
        self.classes = np.unique(np.concatenate([np.unique(part) for part in labels]))
        soft = [soft_labels(part, self.classes, coords.shape[-1]) for part in labels]
        self.soft = torch.stack(soft).to(coords)  # (K, C, h, w)

    def carry_to(self, coords: Tensor, temperature: float) -> Tensor:
        """Soft label probabilities (C, h, w) of one picture with the map (1, 2, h, w)."""
        carried = transfer_all(self.soft, self.coords, coords, temperature)  # (1, K, C, h, w)
        return carried[0].sum(0) / len(self.soft)


def best_class(probabilities: Tensor, shape: tuple[int, int]) -> Tensor:
    """The arg max of probabilities that are enlarged bilinearly to a picture's size.

    Edges between labels are smooth lines rather than the stairs of enlarged labels. Ties go to the
    lowest class. One class is enlarged at a time, so that memory does not grow with their number.

    Args:
        probabilities: (C, h, w).
        shape: (H, W).

    Returns:
        (H, W) int64 in 0..C-1.
    """
    best = index = None
    for number, values in enumerate(probabilities):
        if values.shape != tuple(shape):
            enlarged = F.interpolate(
                values[None, None], tuple(shape), mode='bilinear', align_corners=False
            )
            values = enlarged[0, 0]
        if best is None or index is None:
            best, index = values.clone(), torch.zeros_like(values, dtype=torch.int64)
            continue
        index.masked_fill_(values > best, number)
        torch.maximum(best, values, out=best)
    if index is None:
        raise ValueError('there are no classes')
    return index
