"""What the transfer metrics read from one prediction, checked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Example(NamedTuple):
    """One picture as the metrics see it, all at the size (h, w) of its correspondence map."""

    name: str
    """How to call the picture in messages."""
    coords: Tensor
    """Correspondence map (2, h, w)."""
    labels: Tensor | None
    """Soft one-hot labels (C, h, w), where the picture has labels."""
    true_coords: Tensor | None
    """True canonical coordinates (2, h, w), where the data set knows them."""


class Examples(NamedTuple):
    """Several pictures, stacked."""

    coords: Tensor  # (N, 2, h, w)
    labels: Tensor | None  # (N, C, h, w)
    true_coords: Tensor | None  # (N, 2, h, w)


def sample_index(sample: Mapping[str, Any]) -> int:
    """Position of a picture in its data set.

    Raises:
        KeyError: If the prediction does not say.
    """
    if 'sample_idx' not in sample:
        raise KeyError(
            'predictions lack sample_idx, which tells references from queries: the data set must '
            "set it, and PackInputs must keep it ('sample_idx' in meta_keys)"
        )
    return int(sample['sample_idx'])


def read_example(
    sample: Mapping[str, Any], *, coords_key: str, num_classes: int | None = None
) -> Example:
    """Read one prediction.

    Labels come from ``gt_soft_seg.data`` (C, H, W), or else from ``gt_sem_seg.data`` (1, H, W) as
    one-hot maps; at another size than the map they are resized bilinearly, without antialiasing
    and with ``align_corners=False``. ``gt_coords.data`` (2, H, W) is resized bilinearly with
    ``align_corners=True``, the convention of canonical coordinates.

    Args:
        sample: A prediction with its ground truth, as MMEngine's ``Evaluator`` hands it on.
        coords_key: Key of the correspondence map (2, h, w).
        num_classes: C; None leaves labels aside.

    Raises:
        KeyError: If there is no map under ``coords_key``.
        ValueError: If a map is not (2, h, w) or not finite, if labels lie outside
            ``0..num_classes-1``, or if ground truth and picture differ in size.
    """
    name = str(sample.get('img_path') or f'sample {sample.get("sample_idx")}')
    coords = _coords(sample, coords_key, name)
    size = coords.shape[-2:]
    for key in ('gt_sem_seg', 'gt_soft_seg', 'gt_coords'):
        _check_size(sample, key, name)
    labels = None if num_classes is None else _labels(sample, num_classes, name)
    if labels is not None:
        labels = labels.to(coords.device)
        if labels.shape[-2:] != size:
            labels = F.interpolate(labels[None], size, mode='bilinear', align_corners=False)[0]
    true_coords = _data(sample, 'gt_coords')
    if true_coords is not None:
        true_coords = true_coords.to(coords)
        if true_coords.shape[-2:] != size:
            true_coords = F.interpolate(
                true_coords[None], size, mode='bilinear', align_corners=True
            )[0]
    return Example(name, coords, labels, true_coords)


def stack(examples: Sequence[Example]) -> Examples:
    """Stack pictures; labels and true coordinates only where all of them have them.

    Raises:
        ValueError: If their maps differ in size.
    """
    first = examples[0]
    for example in examples:
        if example.coords.shape != first.coords.shape:
            raise ValueError(
                f'correspondence maps differ in size: {tuple(first.coords.shape)} for '
                f'{first.name}, {tuple(example.coords.shape)} for {example.name}'
            )
    return Examples(
        torch.stack([example.coords for example in examples]),
        _stack_all([example.labels for example in examples]),
        _stack_all([example.true_coords for example in examples]),
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


def _coords(sample: Mapping[str, Any], key: str, name: str) -> Tensor:
    coords = _data(sample, key)
    if coords is None:
        have = ', '.join(k for k in sample if isinstance(sample[k], Tensor)) or 'none'
        raise KeyError(
            f"the prediction for {name} has no correspondence map '{key}' (tensors it has: {have}):"
            ' the model must put it there in predict mode, or coords_key must name another one'
        )
    if coords.dim() != 3 or coords.shape[0] != 2:
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


def _labels(sample: Mapping[str, Any], num_classes: int, name: str) -> Tensor | None:
    """(C, H, W) float, or None where the picture has no labels."""
    hard = _data(sample, 'gt_sem_seg')
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
        return soft.float()
    if hard is None:
        return None
    one_hot = F.one_hot(hard.reshape(hard.shape[-2:]).long(), num_classes)  # (H, W, C)
    return one_hot.permute(2, 0, 1).float()
