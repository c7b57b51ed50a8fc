"""Carry values from one coordinate map to another: what "corresponds" means in this package."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ._checks import check_transfer
from ._nearest import chunk_size, nearest_index


def soft_transfer(
    values: Tensor, source_coords: Tensor, target_coords: Tensor, temperature: float = 0.01
) -> Tensor:
    r"""Carry values to the target pixels, weighted by how near their coordinates are.

    .. math::
        out(p) = \sum_q \mathrm{softmax}_q(-\lVert t(p) - s(q) \rVert / \tau) \; v(q)

    with the plain (not squared) Euclidean distance (CoordGAN, section 3.3). Differentiable in
    all three tensors (first order); the gradient of the distance at zero is zero. Memory is
    bounded: weights are computed for a few target pixels at a time, forward and backward.

    Convention: coordinate maps are x first, in the canonical frame [-1, 1]
    (:func:`canonical_grid`); values travel from *source* to *target*: entry (i, j) of the result
    is what target pixel (i, j) receives.

    Args:
        values: (B, C, Hs, Ws), one value per source pixel, e.g. colours or one-hot labels.
        source_coords: (B, 2, Hs, Ws).
        target_coords: (B, 2, Ht, Wt), any size.
        temperature: Softness, > 0, in units of the frame. 0.01 belongs to 128 x 128 maps; scale
            it with the pixel distance 2 / (n - 1) for other sizes.

    Returns:
        (B, C, Ht, Wt), of the dtype of ``values``; each value is a convex combination of the
        source's.

    Raises:
        ValueError: If shapes do not fit together, or the temperature is not positive.
    """
    check_transfer(values, source_coords, target_coords)
    if not temperature > 0:
        raise ValueError(f'temperature must be positive, but got {temperature}')
    dtype = torch.promote_types(source_coords.dtype, torch.float32)
    out = _SoftTransfer.apply(
        values.flatten(2).to(dtype),
        source_coords.flatten(2).to(dtype),
        target_coords.flatten(2).to(dtype),
        temperature,
    )
    return out.unflatten(2, target_coords.shape[-2:]).to(values.dtype)


def hard_transfer(values: Tensor, source_coords: Tensor, target_coords: Tensor) -> Tensor:
    """Carry to each target pixel the value of the source pixel with the nearest coordinate.

    Convention: as :func:`soft_transfer`, of which this is the limit for temperature 0.

    Args:
        values: (B, C, Hs, Ws), of any dtype, e.g. class indices.
        source_coords: (B, 2, Hs, Ws).
        target_coords: (B, 2, Ht, Wt), any size.

    Returns:
        (B, C, Ht, Wt), differentiable in ``values``.

    Raises:
        ValueError: If shapes do not fit together.
    """
    check_transfer(values, source_coords, target_coords)
    index = nearest_index(source_coords.flatten(2), target_coords.flatten(2))  # (B, Ht*Wt)
    index = index[:, None].expand(-1, values.shape[1], -1)
    return values.flatten(2).gather(2, index).unflatten(2, target_coords.shape[-2:])


class _SoftTransfer(torch.autograd.Function):
    """Soft transfer between flat point sets; the backward pass recomputes the weights."""

    @staticmethod
    def forward(ctx, values, source, target, temperature):  # (B, C, N), (B, 2, N), (B, 2, M)
        out = values.new_empty(values.shape[0], values.shape[1], target.shape[2])
        for part in _chunks(source, target):
            _, _, _, weight = _weights(source, target[:, :, part], temperature)  # (B, m, N)
            out[:, :, part] = values @ weight.transpose(1, 2)
        ctx.save_for_backward(values, source, target, out)
        ctx.temperature = temperature
        return out  # (B, C, M)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_out):
        values, source, target, out = ctx.saved_tensors
        grad_values = torch.zeros_like(values)
        grad_source = torch.zeros_like(source)
        grad_target = torch.zeros_like(target)
        coords_need_grad = ctx.needs_input_grad[1] or ctx.needs_input_grad[2]
        for part in _chunks(source, target):
            grad = grad_out[:, :, part]  # (B, C, m)
            dx, dy, distance, weight = _weights(source, target[:, :, part], ctx.temperature)
            if ctx.needs_input_grad[0]:
                grad_values += grad @ weight
            if not coords_need_grad:
                continue
            # d out / d distance, divided by the distance to turn (dx, dy) into a unit vector
            slope = grad.transpose(1, 2) @ values  # (B, m, N)
            slope -= (grad * out[:, :, part]).sum(1)[:, :, None]
            slope *= weight
            slope /= distance.mul_(-ctx.temperature)
            slope.masked_fill_(distance == 0, 0)
            dx *= slope
            dy *= slope
            grad_target[:, :, part] = torch.stack([dx.sum(2), dy.sum(2)], dim=1)
            grad_source -= torch.stack([dx.sum(1), dy.sum(1)], dim=1)
        return grad_values, grad_source, grad_target, None


def _chunks(source: Tensor, target: Tensor) -> list[slice]:
    """Slices of the target points that face all source points at once."""
    step = chunk_size(source)
    return [slice(start, start + step) for start in range(0, target.shape[2], step)]


def _weights(source: Tensor, target: Tensor, temperature: float) -> tuple[Tensor, ...]:
    """Differences, distances and softmax weights, each (B, M, N)."""
    dx = target[:, 0, :, None] - source[:, 0, None, :]
    dy = target[:, 1, :, None] - source[:, 1, None, :]
    distance = (dx * dx).addcmul_(dy, dy).sqrt_()
    return dx, dy, distance, torch.softmax(distance / -temperature, dim=2)
