"""Soft transfer and nearest points over all pairs, fused in Triton; the host never waits.

A program computes a tile of points and meets the others a tile at a time. Sums stay in registers,
one for each place of the tile, until the last of the others was met: nothing that grows with the
number of pairs is stored. Sums run in one order, so that results are deterministic. Float32 only.
"""

# mypy: disallow-incomplete-defs=False
from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ._soft import FirstOrderOnly

OWN, OTHERS, WARPS = 16, 128, 4
"""Points that a program computes; most points that it meets at a time; its warps. The fastest of
eight settings on an H100."""


@triton.jit
def _points(coords, item, index, count):
    """x and y of points of an item; far away where there is none."""
    place = coords + item * 2 * count + index
    x = tl.load(place, mask=index < count, other=1e18)
    return x, tl.load(place + count, mask=index < count, other=1e18)


@triton.jit
def _values(values, item, index, count, C: tl.constexpr, CHANNELS: tl.constexpr):
    """Values (CHANNELS, points) of points of an item; 0 where there is none."""
    c = tl.arange(0, CHANNELS)[:, None]
    place = values + (item * C + c) * count + index[None, :]
    return tl.load(place, mask=(c < C) & (index[None, :] < count), other=0.0)


@triton.jit
def _store(values, new, item, index, count, C: tl.constexpr, CHANNELS: tl.constexpr):
    """Write ``new`` (CHANNELS, points) where :func:`_values` reads."""
    c = tl.arange(0, CHANNELS)[:, None]
    place = values + (item * C + c) * count + index[None, :]
    tl.store(place, new, mask=(c < C) & (index[None, :] < count))


@triton.jit
def _nearest(source, target, index, distance, n, m, OWN: tl.constexpr, OTHERS: tl.constexpr):
    """The nearest source of each target, and how far it is."""
    item = tl.program_id(1).to(tl.int64)
    t = tl.program_id(0) * OWN + tl.arange(0, OWN)
    tx, ty = _points(target, item, t, m)
    least = tl.full((OWN, OTHERS), float('inf'), tl.float32)
    found = tl.zeros((OWN, OTHERS), tl.int32)
    for start in range(0, n, OTHERS):
        sx, sy = _points(source, item, start + tl.arange(0, OTHERS), n)
        dx, dy = tx[:, None] - sx[None, :], ty[:, None] - sy[None, :]
        squares = dx * dx + dy * dy
        found = tl.where(squares < least, start, found)
        least = tl.minimum(squares, least)
    smallest = tl.min(least, 1)
    found += tl.arange(0, OTHERS)[None, :]
    found = tl.min(tl.where(least == smallest[:, None], found, n - 1), 1)
    tl.store(index + item * m + t, found.to(tl.int64), mask=t < m)
    tl.store(distance + item * m + t, tl.sqrt(smallest), mask=t < m)


@triton.jit
def _forward(
    values, source, target, nearest, out, total, n, m, scale,
    C: tl.constexpr, CHANNELS: tl.constexpr, OWN: tl.constexpr, OTHERS: tl.constexpr,
):  # fmt: skip
    """Mean values, by weights 2 ** ((nearest - distance) * scale), and the sums of weights."""
    item = tl.program_id(1).to(tl.int64)
    t = tl.program_id(0) * OWN + tl.arange(0, OWN)
    tx, ty = _points(target, item, t, m)
    least = tl.load(nearest + item * m + t, mask=t < m, other=0.0)
    weights = tl.zeros((OWN, OTHERS), tl.float32)
    carried = tl.zeros((CHANNELS, OWN, OTHERS), tl.float32)
    for start in range(0, n, OTHERS):
        s = start + tl.arange(0, OTHERS)
        sx, sy = _points(source, item, s, n)
        dx, dy = tx[:, None] - sx[None, :], ty[:, None] - sy[None, :]
        weight = tl.exp2((least[:, None] - tl.sqrt(dx * dx + dy * dy)) * scale)
        weights += weight
        carried += weight[None] * _values(values, item, s, n, C, CHANNELS)[:, None, :]
    sums = tl.sum(weights, 1)
    tl.store(total + item * m + t, sums, mask=t < m)
    _store(out, tl.sum(carried, 2) / sums[None, :], item, t, m, C, CHANNELS)


@triton.jit
def _target_gradients(
    values, source, target, grad, mean, nearest, total, grad_target, n, m, scale,
    C: tl.constexpr, CHANNELS: tl.constexpr, OWN: tl.constexpr, OTHERS: tl.constexpr,
):  # fmt: skip
    """Gradients of a tile of targets, times tau."""
    item = tl.program_id(1).to(tl.int64)
    t = tl.program_id(0) * OWN + tl.arange(0, OWN)
    tx, ty = _points(target, item, t, m)
    least = tl.load(nearest + item * m + t, mask=t < m, other=0.0)
    middle = tl.load(mean + item * m + t, mask=t < m, other=0.0)
    sums = tl.load(total + item * m + t, mask=t < m, other=1.0)
    g = _values(grad, item, t, m, C, CHANNELS)[:, :, None]
    sum_x = tl.zeros((OWN, OTHERS), tl.float32)
    sum_y = tl.zeros((OWN, OTHERS), tl.float32)
    for start in range(0, n, OTHERS):
        s = start + tl.arange(0, OTHERS)
        sx, sy = _points(source, item, s, n)
        v = _values(values, item, s, n, C, CHANNELS)[:, None, :]
        dx, dy = tx[:, None] - sx[None, :], ty[:, None] - sy[None, :]
        squares = tl.maximum(dx * dx + dy * dy, 1e-36)
        inverse = tl.rsqrt(squares)
        weight = tl.exp2((least[:, None] - squares * inverse) * scale)
        slope = (tl.sum(g * v, 0) - middle[:, None]) * weight * inverse
        sum_x += dx * slope
        sum_y += dy * slope
    place = grad_target + item * 2 * m + t
    tl.store(place, -tl.sum(sum_x, 1) / sums, mask=t < m)
    tl.store(place + m, -tl.sum(sum_y, 1) / sums, mask=t < m)


@triton.jit
def _source_gradients(
    values, source, target, grad, mean, nearest, total, grad_source, grad_values, n, m, scale,
    C: tl.constexpr, CHANNELS: tl.constexpr, OWN: tl.constexpr, OTHERS: tl.constexpr,
):  # fmt: skip
    """Gradients of a tile of sources, times tau, and of their values."""
    item = tl.program_id(1).to(tl.int64)
    s = tl.program_id(0) * OWN + tl.arange(0, OWN)
    sx, sy = _points(source, item, s, n)
    v = _values(values, item, s, n, C, CHANNELS)[:, :, None]
    sum_x = tl.zeros((OWN, OTHERS), tl.float32)
    sum_y = tl.zeros((OWN, OTHERS), tl.float32)
    carried = tl.zeros((CHANNELS, OWN, OTHERS), tl.float32)
    for start in range(0, m, OTHERS):
        t = start + tl.arange(0, OTHERS)
        tx, ty = _points(target, item, t, m)
        least = tl.load(nearest + item * m + t, mask=t < m, other=0.0)
        middle = tl.load(mean + item * m + t, mask=t < m, other=0.0)
        sums = tl.load(total + item * m + t, mask=t < m, other=1.0)
        g = _values(grad, item, t, m, C, CHANNELS)[:, None, :]
        dx, dy = sx[:, None] - tx[None, :], sy[:, None] - ty[None, :]
        squares = tl.maximum(dx * dx + dy * dy, 1e-36)
        inverse = tl.rsqrt(squares)
        weight = tl.exp2((least[None, :] - squares * inverse) * scale) * (1 / sums)[None, :]
        slope = (tl.sum(g * v, 0) - middle[None, :]) * weight * inverse
        sum_x += dx * slope
        sum_y += dy * slope
        carried += weight[None] * g
    place = grad_source + item * 2 * n + s
    tl.store(place, -tl.sum(sum_x, 1), mask=s < n)
    tl.store(place + n, -tl.sum(sum_y, 1), mask=s < n)
    _store(grad_values, tl.sum(carried, 2), item, s, n, C, CHANNELS)


def launch(kernel: Any, points: int, batch: int, *arguments: Any, **constants: Any) -> None:
    """Run a kernel on every tile of ``points`` of each item of a batch."""
    others = max(1, OTHERS * 4 // max(4, constants.get('CHANNELS', 1)))
    constants.update(OWN=OWN, OTHERS=others, num_warps=WARPS)
    with torch.cuda.device_of(arguments[0]):
        kernel[(triton.cdiv(points, OWN), batch)](*arguments, **constants)


def nearest_of_all(target: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
    """For each target (B, 2, M) the nearest source of (B, 2, N): its index and distance (B, M)."""
    (batch, _, m), n = target.shape, source.shape[2]
    distance = target.new_empty(batch, m)
    index = torch.empty_like(distance, dtype=torch.int64)
    launch(_nearest, m, batch, source.contiguous(), target.contiguous(), index, distance, n, m)
    return index, distance


class AllPairs(torch.autograd.Function):
    """:class:`~._soft.SoftTransfer` over all pairs: values, source, target, temperature."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        values, source, target = (x.contiguous() for x in given[:3])
        (batch, channels, n), m = values.shape, target.shape[2]
        ctx.temperature = given[3]
        ctx.counts = n, m, 1 / (ctx.temperature * math.log(2))
        ctx.constants = dict(C=channels, CHANNELS=triton.next_power_of_2(channels))
        _, nearest = nearest_of_all(target, source)
        out, total = values.new_empty(batch, channels, m), torch.empty_like(nearest)
        arguments = values, source, target, nearest, out, total, *ctx.counts
        launch(_forward, m, batch, *arguments, **ctx.constants)
        ctx.save_for_backward(*given[:3], out, nearest, total)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        *inputs, out, nearest, total = ctx.saved_tensors
        (n, m, _), batch = ctx.counts, len(out)
        with torch.no_grad():
            given = *(x.contiguous() for x in (*inputs, grad)), (grad * out).sum(1), nearest, total
            values, source, target = (torch.empty_like(x) for x in given[:3])
            launch(_target_gradients, m, batch, *given, target, *ctx.counts, **ctx.constants)
            results = source, values
            launch(_source_gradients, n, batch, *given, *results, *ctx.counts, **ctx.constants)
            for points in (source, target):
                points.div_(ctx.temperature)
        return *FirstOrderOnly.apply(values, source, target, grad, *inputs), None
