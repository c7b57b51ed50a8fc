"""Label transfer: how well labels of a few references fit other images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmcoordgan.registry import METRICS

from .examples import Example, arg_max, resize_soft
from .transfer_metric import TransferMetric, format_table

EPS = 1e-10


def confusion_matrix(predicted: Tensor, truth: Tensor, num_classes: int) -> Tensor:
    """How many pixels of each class were taken for each class: (K, C, C) int64 on the CPU.

    Rows are true classes, columns predicted ones. ``predicted`` (K, ...) and ``truth`` (...) are
    int64 in 0..C-1. Negative pixels of ``truth`` are void and count nowhere.
    """
    if predicted.shape[1:] != truth.shape:
        shapes = f'{tuple(predicted.shape)} and {tuple(truth.shape)}'
        raise ValueError(f'predicted must be (K, ...) for truth (...), but they are {shapes}')
    cells = num_classes * num_classes
    index = (truth * num_classes + predicted).masked_fill(truth < 0, cells).flatten(1)
    counts = [torch.bincount(row, minlength=cells + 1)[:cells] for row in index]
    return torch.stack(counts).view(-1, num_classes, num_classes).cpu()


def intersection_and_union(confusion: Tensor, strict: bool = False) -> tuple[Tensor, Tensor]:
    """Intersection and union of each class in pixels, (..., C - 1), without background (class 0).

    Predictions on true background cost nothing, as in CoordGAN's benchmark, unless ``strict``:
    they then enter the union of the predicted class. ``confusion`` is (..., C, C).
    """
    intersection = confusion.diagonal(dim1=-2, dim2=-1)
    predicted = confusion.sum(-2)
    if not strict:
        predicted = predicted - confusion[..., 0, :]
    union = confusion.sum(-1) + predicted - intersection
    return intersection[..., 1:], union[..., 1:]


def iou_per_class(confusion: Tensor, strict: bool = False) -> Tensor:
    """IoU of each class in percent, I / (U + 1e-10), (..., C - 1) float64; same arguments."""
    intersection, union = intersection_and_union(confusion, strict)
    return 100 * intersection.double() / (union.double() + EPS)


@METRICS.register_module()
class SegTransferIoU(TransferMetric):
    """IoU of labels carried from labelled references to queries (CoordGAN).

    Soft one-hot labels of each reference are carried to the query by correspondence; the arg max
    is compared with the query's own labels, the arg max of its one-hot labels resized bilinearly.
    Ties go to the lowest class. Intersections and unions are summed over all queries before they
    are divided. Void pixels (``ignore_index`` in the data set's ``metainfo``) count nowhere: those
    of references are no sources; pixels of queries do not count where more than half is void.

    Numbers in percent, each the mean over classes (without background and ``ignore_classes``) and
    references:

    * ``iou``: as CoordGAN's benchmark counts. Predictions on true background cost nothing; a class
      that is in no query scores 0 and enters the mean.
    * ``iou/<class>``, ``iou/ref<k>``: the same by class and by reference.
    * ``identity_iou``: labels copied without moving them.
    * ``fused_iou``: the arg max of the sum of what all references carry.
    * ``ceiling_iou``: the true canonical coordinates (``gt_coords``) in place of the model's map,
      where all images have them.
    * ``strict_...``: the same four, where classes predicted on true background are errors.

    Args:
        num_classes: C, background (class 0) included. Default: the ``classes`` of the data set.
        ignore_classes: Classes left out of means, by name or number.
        label_size: Height and width at which labels are counted; what is carried is resized to
            it. None (default): those of the map, as in the published benchmarks.
        **settings: See :class:`TransferMetric`.
    """

    needs_labels = True

    def __init__(
        self,
        *,
        num_classes: int | None = None,
        ignore_classes: Sequence[int | str] = (),
        label_size: int | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self._num_classes = num_classes
        self.label_size = label_size
        self.ignore_classes = tuple(ignore_classes)

    @property
    def num_classes(self) -> int:
        return self._num_classes or super().num_classes

    @property
    def class_names(self) -> list[str]:
        """Names of all C classes; their numbers where the data set has no (or other) names."""
        names = (self.dataset_meta or {}).get('classes') or ()
        if len(names) != self.num_classes:
            names = range(self.num_classes)
        return [str(name) for name in names]

    def check_reference(self, reference: Example) -> None:
        self._kept_classes()  # complains before hours of work, not after
        if reference.labels is None:
            raise ValueError(
                f'the reference {reference.name} has no labels: label transfer needs gt_sem_seg '
                f'or gt_soft_seg for the first {self.num_references} samples of the data set'
            )

    def count(self, query: Example) -> dict[str, Tensor]:
        """Confusion matrices (K, C, C), (1, C, C) for the fused prediction."""
        if query.truth is None:
            return {}
        references = self.references
        carried = self.transfer(references.labels, query)
        scores = {
            '': carried,
            'identity': references.truth,
            'fused': carried.sum(0, keepdim=True),
        }
        known = references.true_coords is not None and query.true_coords is not None
        if self.ceiling and known:
            scores['ceiling'] = self.transfer(references.labels, query, 'true_coords')
        truth = arg_max(query.truth).masked_fill(query.truth.sum(0) < 0.5, -1)  # (H, W)
        counted = {}
        for name, values in scores.items():
            predicted = arg_max(resize_soft(values, truth.shape).unbind(1))
            counted[name] = confusion_matrix(predicted, truth, self.num_classes)
        return counted

    def report(self, totals: dict[str, Tensor]) -> tuple[dict[str, float], str]:
        kept, names = self._kept_classes(), self.class_names[1:]
        numbers: dict[str, float] = {}
        for strict in (False, True):
            for name, confusion in totals.items():
                key = f'{name}_iou' if name else 'iou'
                key = f'strict_{key}' if strict else key
                numbers[key] = float(iou_per_class(confusion, strict)[:, kept].mean())
        by_reference = iou_per_class(totals[''])  # (K, C - 1)
        columns = {f'ref{k}': row for k, row in enumerate(by_reference)}
        for name, row in columns.items():
            numbers[f'iou/{name}'] = float(row[kept].mean())
        columns['mean'] = by_reference.mean(0)
        for name, value in zip(names, columns['mean'].tolist()):
            numbers[f'iou/{name}'] = value
        columns['strict'] = iou_per_class(totals[''], strict=True).mean(0)
        columns.update({name: iou_per_class(totals[name]).mean(0) for name in totals if name})
        labels = [name if keep else f'({name})' for name, keep in zip(names, kept.tolist())]
        means = {k: [*column.tolist(), float(column[kept].mean())] for k, column in columns.items()}
        table = format_table('IoU (%)', [*labels, 'mean'], means)
        if not kept.all():
            table += '\n(classes in brackets are not in the mean)'
        return numbers, table

    def _kept_classes(self) -> Tensor:
        """(C - 1,) bool: whether a class other than the background enters means."""
        names, kept = self.class_names, torch.ones(self.num_classes, dtype=torch.bool)
        for item in self.ignore_classes:
            label = names.index(item) if item in names else item
            if not isinstance(label, int) or not 0 <= label < self.num_classes:
                known = ', '.join(f'{i} ({n})' for i, n in enumerate(names))
                raise ValueError(f'ignore_classes: {item!r} is no class; known are {known}')
            kept[label] = False
        if not kept[1:].any():
            raise ValueError('ignore_classes leaves no class for the mean')
        return kept[1:]
