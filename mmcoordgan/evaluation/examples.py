"""What the transfer metrics read from one prediction, checked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Example(NamedTuple):
    """One image as the metrics see it."""

    name: str
    """What to call the image in messages."""
    coords: Tensor
    """Correspondence map (2, h, w), or of a query one for each reference (K, 2, h, w)."""
    labels: Tensor | None = None
    """Soft one-hot labels (C, h, w) at the size of the map, where the image has labels."""
    truth: Tensor | None = None
    """The same at the size (H, W) where labels are counted."""
    true_coords: Tensor | None = None
    """True canonical coordinates (2, h, w), where the data set knows them."""
    points: Tensor | None = None
    """Key points (P, 2) in fractions of width and height, where the image has some."""
    sides: Tensor | None = None
    """Width and height (2,) of the original image in pixels, with ``points``."""


class Examples(NamedTuple):
    """Several images, stacked; see :class:`Example`."""

    coords: Tensor  # (N, 2, h, w), or (N, K, 2, h, w)
    labels: Tensor | None  # (N, C, h, w)
    truth: Tensor | None  # (N, C, H, W)
    true_coords: Tensor | None  # (N, 2, h, w)
    points: Tensor | None  # (N, P, 2)
    sides: Tensor | None  # (N, 2)


def sample_index(sample: Mapping[str, Any]) -> int:
    """Position of an image in its data set.

    Raises:
        KeyError: If the prediction does not say.
    """
    if 'sample_idx' not in sample:
        raise KeyError(
            'predictions lack sample_idx, which tells references from queries: the data set must '
            "set it, and PackInputs must keep it ('sample_idx' in meta_keys)"
        )
    return int(sample['sample_idx'])


def resize_soft(labels: Tensor, size: Sequence[int]) -> Tensor:
    """Soft labels (..., C, H, W) at another height and width, as benchmarks resize them.

    Bilinear, without antialiasing, with ``align_corners=False``.
    """
    if labels.shape[-2:] == tuple(size):
        return labels
    flat = labels.flatten(0, -4) if labels.dim() > 3 else labels[None]
    resized = F.interpolate(flat, tuple(size), mode='bilinear', align_corners=False)
    return resized.view(*labels.shape[:-2], *size)


def read_example(
    sample: Mapping[str, Any],
    *,
    coords_key: str,
    num_maps: int | None = None,
    num_classes: int | None = None,
    ignore_index: int | None = None,
    label_size: int | None = None,
) -> Example:
    """Read one prediction.

    Labels come from ``gt_soft_seg.data`` (C, H, W), or else from ``gt_sem_seg.data`` (1, H, W) as
    one-hot maps, zero where a pixel is void. :func:`resize_soft` brings them to the size of the
    map and to ``label_size``. ``gt_coords.data`` (2, H, W) is resized bilinearly with
    ``align_corners=True``, the convention of canonical coordinates. ``gt_points`` is (P, 2), in
    fractions of the sides.

    Args:
        sample: A prediction with its ground truth, as MMEngine's ``Evaluator`` hands it on.
        coords_key: Key of the correspondence map (2, h, w).
        num_maps: K, where (K, 2, h, w), one map for each reference, is as good.
        num_classes: C; None leaves labels aside.
        ignore_index: Label of void pixels; None: there are none.
        label_size: Height and width of ``truth``; None: those of the map.

    Raises:
        KeyError: If there is no map under ``coords_key``.
        ValueError: If a map has another shape or is not finite, if labels lie outside
            ``0..num_classes-1``, or if ground truth and image differ in size.
    """
    name = str(sample.get('img_path') or f'sample {sample.get("sample_idx")}')
    coords = _coords(sample, coords_key, name, num_maps)
    size = coords.shape[-2:]
    for key in ('gt_sem_seg', 'gt_soft_seg', 'gt_coords'):
        _check_size(sample, key, name)
    found = None if num_classes is None else _labels(sample, num_classes, ignore_index, name)
    labels = truth = None
    if found is not None:
        found = found.to(coords.device)
        labels = resize_soft(found, size)
        truth = labels if label_size is None else resize_soft(found, (label_size, label_size))
    true_coords = _data(sample, 'gt_coords')
    if true_coords is not None:
        true_coords = true_coords.to(coords)
        if true_coords.shape[-2:] != size:
            true_coords = F.interpolate(
                true_coords[None], size, mode='bilinear', align_corners=True
            )[0]
    points, sides = _data(sample, 'gt_points'), None
    if points is not None:
        points = points.to(coords)
        height, width = (sample.get('ori_shape') or sample.get('img_shape') or (1, 1))[:2]
        sides = coords.new_tensor([width, height])
    return Example(name, coords, labels, truth, true_coords, points, sides)


def stack(examples: Sequence[Example]) -> Examples:
    """Stack images; ground truth only where all of them have it.

    Raises:
        ValueError: If their maps or their numbers of key points differ.
    """
    first = examples[0]
    for example in examples:
        if example.coords.shape != first.coords.shape:
            raise ValueError(
                f'correspondence maps differ in size: {tuple(first.coords.shape)} for '
                f'{first.name}, {tuple(example.coords.shape)} for {example.name}'
            )
    columns = list(zip(*(example[2:] for example in examples)))
    return Examples(
        torch.stack([example.coords for example in examples]), *map(_stack_all, columns)
    )


def arg_max(scores: Tensor, dim: int = -3) -> Tensor:
    """Index of the largest score along ``dim``; ties go to the lowest index, on every device."""
    first, *others = scores.unbind(dim)
    best, index = first.clone(), torch.zeros_like(first, dtype=torch.int64)
    for number, score in enumerate(others, start=1):
        index.masked_fill_(score > best, number)
        torch.maximum(best, score, out=best)
    return index


def _stack_all(tensors: Sequence[Tensor | None]) -> Tensor | None:
    present = [tensor for tensor in tensors if tensor is not None]
    return torch.stack(present) if len(present) == len(tensors) else None


def _data(sample: Mapping[str, Any], key: str) -> Tensor | None:
    """The tensor of a data field: ``{'data': tensor}``, ``PixelData`` or the tensor itself."""
    field = sample.get(key)
    if field is None or isinstance(field, Tensor):
        return field
    return field['data'] if isinstance(field, Mapping) else field.data


def _coords(sample: Mapping[str, Any], key: str, name: str, num_maps: int | None) -> Tensor:
    coords = _data(sample, key)
    if coords is None:
        have = ', '.join(k for k in sample if isinstance(sample[k], Tensor)) or 'none'
        raise KeyError(
            f"the prediction for {name} has no correspondence map '{key}' (tensors it has: {have}):"
            ' the model must put it there in predict mode, or coords_key must name another one'
        )
    if coords.shape[:-2] not in ((2,), (num_maps, 2)):
        raise ValueError(f"'{key}' of {name} must be (2, H, W), but is {tuple(coords.shape)}")
    if not torch.isfinite(coords).all():
        raise ValueError(f"'{key}' of {name} holds values that are not finite")
    return coords.detach().float()


def _check_size(sample: Mapping[str, Any], key: str, name: str) -> None:
    values, shape = _data(sample, key), sample.get('img_shape')
    if values is None or shape is None or tuple(values.shape[-2:]) == tuple(shape[:2]):
        return
    raise ValueError(
        f'{key} of {name} is {values.shape[-2]}x{values.shape[-1]} but the image is '
        f'{shape[0]}x{shape[1]}: resize both (ResizeWithSoftLabels does)'
    )


def _labels(
    sample: Mapping[str, Any], num_classes: int, ignore_index: int | None, name: str
) -> Tensor | None:
    """(C, H, W) float, zero where a pixel is void, or None where the image has no labels."""
    hard = _data(sample, 'gt_sem_seg')
    void = None if hard is None or ignore_index is None else hard == ignore_index
    if hard is not None and void is not None:
        hard = hard.masked_fill(void, 0)
    if hard is not None and hard.numel() and not 0 <= hard.min() <= hard.max() < num_classes:
        raise ValueError(
            f'labels of {name} must lie in 0..{num_classes - 1}, but span '
            f'{int(hard.min())}..{int(hard.max())}'
        )
    soft = _data(sample, 'gt_soft_seg')
    if soft is not None:
        if soft.dim() != 3 or soft.shape[0] != num_classes:
            raise ValueError(
                f'gt_soft_seg of {name} must be ({num_classes}, H, W), but is {tuple(soft.shape)}'
            )
        if not torch.isfinite(soft).all():
            raise ValueError(f'gt_soft_seg of {name} holds values that are not finite')
        return soft.float()
    if hard is None:
        return None
    one_hot = F.one_hot(hard.reshape(hard.shape[-2:]).long(), num_classes)  # (H, W, C)
    labels = one_hot.permute(2, 0, 1).float()
    return labels if void is None else labels * ~void.reshape(void.shape[-2:])
