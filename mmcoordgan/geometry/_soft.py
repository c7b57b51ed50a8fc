"""The soft transfer between point sets: forward over near blocks, backward recomputed."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ._blocks import BLOCK_SIZE
from ._near import Neighborhood, Walk, gather, hypotenuse

CUTOFF_BITS = {torch.float32: 15, torch.float64: 44}
"""What is left out of a sum of weights is at most 2 ** -bits of the largest weight in it."""
STEPS = 32  # radii that are tried, from no margin to the one that always suffices


class SoftTransfer(torch.autograd.Function):
    """Mean of the values, weighted by exp(-distance / temperature); see :func:`soft_transfer`.

    For each block of targets, the sources beyond a radius are left out, where all of them together
    weigh less than 2 ** -CUTOFF_BITS of the nearest one. Weights are powers of two:
    exp(-distance / temperature) = 2 ** (-distance / halving).
    """

    @staticmethod
    def forward(ctx, values, source, target, sources, targets, temperature):
        # (B, C, N), (B, 2, N), (B, 2, M), Blocks, Blocks, float
        halving = temperature * math.log(2)
        margin = halving * (math.log2(source.shape[2]) + CUTOFF_BITS[source.dtype])
        walk = Walk(targets, sources, target, source, margin, values)
        blocks = walk.target.shape[1]
        out = values.new_empty(values.shape[1], blocks, BLOCK_SIZE)
        radius = values.new_empty(blocks)
        nearest, total = values.new_empty(2, blocks, BLOCK_SIZE)
        counts = []
        for hood in walk:
            radius[hood.rows] = _radius(hood, margin, halving)
            longest, pairs = hood.pairs(radius[hood.rows])
            counts.append(longest)
            for rows, near in pairs:
                carry = gather(walk.values, near)  # (C, n, S)
                dx, dy = walk.differences(rows, near)
                distance = hypotenuse(dx, dy)  # (n, BLOCK_SIZE, S)
                nearest[rows] = distance.amin(2)  # (n, BLOCK_SIZE)
                weight = _powers(nearest[rows], distance, halving, out=dy)
                total[rows] = weight.sum(2)
                carried = carry.transpose(0, 1) @ weight.mT  # (n, C, BLOCK_SIZE)
                out[:, rows] = carried.div_(total[rows][:, None]).transpose(0, 1)
        ctx.save_for_backward(values, source, target, out, radius, nearest, total)
        ctx.constants = sources, targets, temperature, halving, margin, counts
        return targets.unpack(out, target.shape[2])  # (B, C, M)

    @staticmethod
    def backward(ctx, grad_out):
        with torch.no_grad(), torch.autocast(grad_out.device.type, enabled=False):
            grads = SoftTransfer._backward(ctx, grad_out)
        grads = FirstOrderOnly.apply(*grads, grad_out, *ctx.saved_tensors[:3])
        return (*grads, None, None, None)

    @staticmethod
    def _backward(ctx, grad_out):
        values, source, target, out, radius, nearest, total = ctx.saved_tensors
        sources, targets, temperature, halving, margin, counts = ctx.constants
        walk = Walk(targets, sources, target, source, margin, values)
        grad_target = torch.empty_like(walk.target)
        channels, *slots = walk.values.shape
        grad_packed = walk.values.new_zeros(2 + channels, *slots)  # of coordinates, then values
        grad = targets.pack(grad_out, empty=0)
        mean = (grad * out).sum(0)  # (blocks, BLOCK_SIZE)
        for hood, longest in zip(walk, counts):
            for rows, near in hood.pairs(radius[hood.rows], longest)[1]:
                carry = gather(walk.values, near)  # (C, n, S)
                dx, dy = walk.differences(rows, near)
                distance = hypotenuse(walk.scratch(2, *dx.shape).copy_(dx), dy)
                weight = _powers(nearest[rows], distance, halving, walk.scratch(3, *dx.shape))
                weight.div_(total[rows, :, None])
                # Gradients of these sources and of their values.
                part = carry.new_empty(len(grad_packed), *carry.shape[1:])
                grad_rows = grad[:, rows].transpose(0, 1)  # (n, C, BLOCK_SIZE)
                part[2:] = (grad_rows @ weight).transpose(0, 1)
                # d loss / d distance, over the distance to turn (dx, dy) into a unit vector
                slope = torch.baddbmm(
                    mean[rows, :, None],
                    grad_rows.mT,
                    carry.transpose(0, 1),
                    beta=-1,
                    out=walk.scratch(4, *dx.shape),
                )
                slope.mul_(weight).div_(distance.clamp_(min=1e-20))
                for axis, difference in enumerate((dx, dy)):
                    difference.mul_(slope)
                    grad_target[axis, rows] = difference.sum(2)
                    part[axis] = difference.sum(1)
                grad_packed.index_add_(1, near.flatten(), part.view(len(part), -1, BLOCK_SIZE))
        grads = sources.unpack(grad_packed[:, :-1], source.shape[2])
        grad_target = targets.unpack(grad_target, target.shape[2])
        return grads[:, 2:], grads[:, :2] / temperature, grad_target / -temperature


class FirstOrderOnly(torch.autograd.Function):
    """Three gradients as they are; an error where they are differentiated (create_graph=True)."""

    @staticmethod
    def forward(ctx, grad_values, grad_source, grad_target, *depends_on):
        return tuple(grad.view_as(grad) for grad in (grad_values, grad_source, grad_target))

    @staticmethod
    def backward(ctx, *grads):
        raise RuntimeError(
            'soft_transfer has no second derivative: detach its result, or its inputs, in terms '
            'that differentiate a gradient'
        )


def _powers(nearest: Tensor, distance: Tensor, halving: float, out: Tensor) -> Tensor:
    """2 ** ((nearest - distance) / halving), (n, T, S), for (n, T) and (n, T, S).

    The difference comes first: at small temperatures the quotients are too large for it.
    """
    return torch.sub(nearest[:, :, None], distance, out=out).mul_(1 / halving).exp2_()


def _radius(hood: Neighborhood, margin: float, halving: float) -> Tensor:
    """How far from each block of targets (R,) sources matter.

    Farther than ``margin`` behind the nearest source, all sources together weigh less than the
    cutoff, wherever they are; nearer, as long as those that really are there do.
    """
    nearest = hood.nearest
    excess = (hood.lower - nearest[:, None]).nan_to_num_(0)  # (R, C)
    weight = (excess / -halving).clamp_(min=-100, max=0).exp2_().mul_(BLOCK_SIZE)
    step = excess.mul_(STEPS / margin).clamp_(0, STEPS).long()
    weight_at = weight.new_zeros(len(step), STEPS + 1).scatter_add_(1, step, weight)
    beyond = torch.ones(STEPS + 1, STEPS + 1, device=weight.device, dtype=weight.dtype).triu()
    left_out = weight_at.flip(1) @ beyond  # ever smaller radii; cumsum is not deterministic
    too_much = (left_out >= 2.0 ** -CUTOFF_BITS[nearest.dtype]).sum(1)
    return nearest + too_much * (margin / STEPS)
