"""What the transfer metrics read from a prediction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmcoordgan.datasets.label_files import check_labels
from mmcoordgan.geometry import resize_map


class Example(NamedTuple):
    """One image as the metrics see it; or N of them, with a leading dimension N in every field."""

    name: str  # In messages
    coords: Tensor  # Correspondence map (2, h, w); a query may have one for each reference
    labels: Tensor | None = None  # Soft one-hot labels (C, h, w) at the size of the map
    truth: Tensor | None = None  # The same at the size (H, W) where labels are counted
    true_coords: Tensor | None = None  # True canonical coordinates (2, h, w)
    points: Tensor | None = None  # Key points (P, 2) in fractions of width and height
    sides: Tensor | None = None  # Width and height (2,) in pixels, with points


def sample_index(sample: Mapping[str, Any]) -> int:
    """Position of an image in its data set, or KeyError if the prediction does not say."""
    if 'sample_idx' not in sample:
        raise KeyError('predictions lack sample_idx, which the data set must set')
    return int(sample['sample_idx'])


def resize_soft(labels: Tensor, size: Sequence[int]) -> Tensor:
    """Resize soft labels (..., C, H, W) as benchmarks do: bilinear, without antialiasing."""
    if labels.shape[-2:] == tuple(size):
        return labels
    flat = labels.reshape(-1, *labels.shape[-3:])
    resized = F.interpolate(flat, tuple(size), mode='bilinear', align_corners=False)
    return resized.view(*labels.shape[:-2], *size)


def pixel_centres(size: Sequence[int], like: Tensor) -> Tensor:
    """(1, 2, H, W): centres of pixels in fractions of the sides of an image (H, W), x first."""
    y, x = ((torch.arange(n, device=like.device, dtype=torch.float32) + 0.5) / n for n in size)
    return torch.stack(torch.meshgrid(x, y, indexing='xy'))[None]


def read_example(
    sample: Mapping[str, Any],
    *,
    coords_key: str,
    num_maps: int | None = None,
    num_classes: int | None = None,
    ignore_index: int | None = None,
    label_size: int | None = None,
) -> Example:
    """Read one prediction with its ground truth, as MMEngine's ``Evaluator`` passes it on.

    Labels come from ``gt_soft_seg.data`` (C, H, W), or else from ``gt_sem_seg.data`` (1, H, W).
    ``gt_coords.data`` (2, H, W) is resized bilinearly with ``align_corners=True``, the convention
    of canonical coordinates. ``gt_points`` is (P, 2), in fractions of the sides.

    The map ``coords_key`` is (2, h, w); with ``num_maps`` K, (K, 2, h, w) is accepted too, one for
    each reference. ``num_classes`` is C; None reads no labels. Pixels labelled ``ignore_index`` are
    void. ``label_size`` is the height and width of ``truth``; None: those of the map.

    Raises:
        KeyError, ValueError: There is no map, or it or the labels are not as above.
    """
    name = str(sample.get('img_path') or f'sample {sample.get("sample_idx")}')
    coords = _data(sample, coords_key)
    if coords is None:
        have = ', '.join(k for k in sample if isinstance(sample[k], Tensor)) or 'none'
        raise KeyError(
            f"the prediction for {name} has no correspondence map '{coords_key}' (tensors it has: "
            f'{have}): the model must predict it, or coords_key must name another one'
        )
    if coords.shape[:-2] not in ((2,), (num_maps, 2)) or not torch.isfinite(coords).all():
        raise ValueError(
            f"'{coords_key}' of {name} must be (2, H, W) and finite, but is {tuple(coords.shape)}"
        )
    coords = coords.detach().float()
    size = coords.shape[-2:]
    labels = truth = None
    found = None if num_classes is None else _labels(sample, num_classes, ignore_index, name)
    if found is not None:
        found = found.to(coords.device)
        labels = resize_soft(found, size)
        truth = labels if label_size is None else resize_soft(found, (label_size, label_size))
    true_coords = _data(sample, 'gt_coords')
    if true_coords is not None:
        true_coords = resize_map(true_coords.to(coords)[None], size)[0]
    points, sides = _data(sample, 'gt_points'), None
    if points is not None:
        points = points.to(coords)
        height, width = (sample.get('ori_shape') or sample.get('img_shape') or (1, 1))[:2]
        sides = coords.new_tensor([width, height])
    return Example(name, coords, labels, truth, true_coords, points, sides)


def stack(examples: Sequence[Example]) -> Example:
    """Stack images; ground truth only where all of them have it."""
    columns: Any = zip(*(example[1:] for example in examples))
    stacked: Any = (None if any(t is None for t in c) else torch.stack(c) for c in columns)
    return Example(examples[0].name, *stacked)


def arg_max(scores: Iterable[Tensor]) -> Tensor:
    """The number of the tensor that is largest, by element; ties go to the first of them."""
    others = iter(scores)
    best = next(others).clone()
    index = torch.zeros_like(best, dtype=torch.int64)
    for number, score in enumerate(others, start=1):
        index.masked_fill_(score > best, number)
        torch.maximum(best, score, out=best)
    return index


def _data(sample: Mapping[str, Any], key: str) -> Tensor | None:
    """The tensor of a data field: ``{'data': tensor}``, ``PixelData`` or the tensor itself."""
    field = sample.get(key)
    if field is None or isinstance(field, Tensor):
        return field
    return field['data'] if isinstance(field, Mapping) else field.data


def _labels(
    sample: Mapping[str, Any], num_classes: int, ignore_index: int | None, name: str
) -> Tensor | None:
    """(C, H, W) float, zero where a pixel is void, or None where the image has no labels."""
    soft, hard = _data(sample, 'gt_soft_seg'), _data(sample, 'gt_sem_seg')
    if soft is not None:
        if soft.shape[0] != num_classes:
            raise ValueError(
                f'gt_soft_seg of {name} must be ({num_classes}, H, W), but is {tuple(soft.shape)}'
            )
        return soft.float()
    if hard is None:
        return None
    check_labels(hard[0].cpu().numpy(), f'ground truth of {name}', num_classes, ignore_index)
    one_hot = hard == torch.arange(num_classes, device=hard.device).view(-1, 1, 1)
    if ignore_index is not None:
        one_hot &= hard != ignore_index
    return one_hot.float()
