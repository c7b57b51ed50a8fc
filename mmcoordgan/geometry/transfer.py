"""Carry values from one coordinate map to another: the definition of "corresponds"."""

from __future__ import annotations

import torch
from torch import Tensor

from ._device import in_triton
from ._soft import SoftTransfer
from .indexed import LIMIT, IndexedCoords, nearest_pixel, points_of


def soft_transfer(
    values: Tensor,
    source_coords: Tensor | IndexedCoords,
    target_coords: Tensor | IndexedCoords,
    temperature: float = 0.01,
) -> Tensor:
    r"""Carry values to the target pixels, weighted by how near their coordinates are.

    .. math::
        out(p) = \sum_q \mathrm{softmax}_q(-\lVert t(p) - s(q) \rVert / \tau) \; v(q)

    with the plain (not squared) Euclidean distance (CoordGAN). Differentiable once in all three
    tensors; the gradient of the distance at zero is zero. A second derivative is an error.

    Distant sources are left out where all of them together weigh less than 2 ** -15 times the
    nearest one (2 ** -44 in float64). Weights are computed for a few pixels at a time and again in
    the backward pass, so that memory grows with the number of pixels only.

    Convention: coordinate maps are x first, in the canonical frame [-1, 1]
    (:func:`canonical_grid`); values travel from *source* to *target*.

    Args:
        values: (B, C, Hs, Ws), one value per source pixel, e.g. colors or one-hot labels.
        source_coords: (B, 2, Hs, Ws).
        target_coords: (B, 2, Ht, Wt), any size. Any batch size may also be 1, for all of a batch.
        temperature: Softness, > 0, in units of the frame; a number. 0.01 belongs to 128 x 128
            maps; scale it with the pixel distance 2 / (n - 1) for other sizes.

    Returns:
        (B, C, Ht, Wt); each value is a convex combination of the source's. Of the dtype of
        ``values``, or float32 where that is not floating point (one-hot labels in int64).
        Coordinates that are NaN or beyond 1e12 make results NaN.

    Raises:
        ValueError: If shapes do not fit together, or ``temperature`` is not positive.
    """
    if not temperature > 0:
        raise ValueError(f'temperature must be positive, but got {temperature}')
    source, target = _indexed(values, source_coords, target_coords)
    batch = max(len(values), len(source.coords), len(target.coords))
    source_points, target_points = points_of(source, target, batch=batch)
    given = values.flatten(2).to(source_points.dtype).expand(batch, -1, -1)
    with torch.autocast(values.device.type, enabled=False):  # coordinates need 24 bits
        if in_triton(source_points, target_points):
            from ._triton import AllPairs

            out = AllPairs.apply(given, source_points, target_points, temperature)
        else:
            blocks = [m.blocks.of_batch(batch, given.dtype) for m in (source, target)]
            out = SoftTransfer.apply(given, source_points, target_points, *blocks, temperature)
    dtype = values.dtype if values.is_floating_point() else torch.float32
    return out.unflatten(2, target.coords.shape[-2:]).to(dtype)


def hard_transfer(
    values: Tensor, source_coords: Tensor | IndexedCoords, target_coords: Tensor | IndexedCoords
) -> Tensor:
    """Carry to each target pixel the value of the source pixel with the nearest coordinate.

    The limit of :func:`soft_transfer` for temperature 0; takes the same values and maps. Values may
    have any dtype, e.g. class indices; the result is differentiable in them.

    Convention: as :func:`soft_transfer`.

    Raises:
        ValueError: If shapes do not fit together, or coordinates are not finite or beyond 1e12.
    """
    source, target = _indexed(values, source_coords, target_coords)
    for name, coords in (('source_coords', source.coords), ('target_coords', target.coords)):
        if (~(coords.abs() <= LIMIT)).any():
            raise ValueError(f'{name} must be finite, and within +-{LIMIT:g}')
    index = nearest_pixel(source, target)
    batch = max(len(values), len(index))
    index = index[:, None].expand(batch, values.shape[1], -1)
    carried = values.flatten(2).expand(batch, -1, -1).gather(2, index)
    return carried.unflatten(2, target.coords.shape[-2:])


def carry(
    values: Tensor,
    source_coords: Tensor | IndexedCoords,
    target_coords: Tensor | IndexedCoords,
    temperature: float,
) -> Tensor:
    """:func:`soft_transfer`, or its limit :func:`hard_transfer` where the temperature is 0."""
    if temperature == 0:
        return hard_transfer(values, source_coords, target_coords)
    return soft_transfer(values, source_coords, target_coords, temperature)


def _indexed(
    values: Tensor, source_coords: Tensor | IndexedCoords, target_coords: Tensor | IndexedCoords
) -> tuple[IndexedCoords, IndexedCoords]:
    source, target = (
        coords if isinstance(coords, IndexedCoords) else IndexedCoords(coords, name)
        for coords, name in ((source_coords, 'source_coords'), (target_coords, 'target_coords'))
    )
    tensors = values, source.coords, target.coords
    batches = {size for x in tensors for size in x.shape[:1]} - {1}
    if values.dim() != 4 or values.shape[2:] != source.coords.shape[2:] or len(batches) > 1:
        shapes = ', '.join(str(tuple(x.shape)) for x in tensors)
        raise ValueError(
            'values must be (B, C, H, W), with the height and width of source_coords, and all must '
            'have the same batch size, or 1, but values, source_coords and target_coords are '
            f'{shapes}'
        )
    return source, target
