"""Soft transfer and nearest points over all pairs, fused in Triton; the host never waits.

Tiles of targets meet tiles of sources in registers; nothing that grows with the number of pairs is
stored. Sums run in one order, so that results are deterministic. Float32 only.
"""

# mypy: disallow-incomplete-defs=False
from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ._soft import first_order_only

SIDE = 64
"""Points in a tile, of each kind."""


@triton.jit
def _forward(
    values, source, target, out, nearest, total, n, m, scale,
    C: tl.constexpr, CHANNELS: tl.constexpr, SIDE: tl.constexpr,
):  # fmt: skip
    """Weights 2 ** (-distance * scale), relative to the nearest source so far."""
    item = tl.program_id(1).to(tl.int64)
    t = tl.program_id(0) * SIDE + tl.arange(0, SIDE)
    c = tl.arange(0, CHANNELS)
    tx = tl.load(target + item * 2 * m + t, mask=t < m, other=0.0)[:, None]
    ty = tl.load(target + item * 2 * m + m + t, mask=t < m, other=0.0)[:, None]
    least = tl.full((SIDE,), float('inf'), tl.float32)
    weights = tl.zeros((SIDE,), tl.float32)
    carried = tl.zeros((SIDE, CHANNELS), tl.float32)
    for start in range(0, n, SIDE):
        s = start + tl.arange(0, SIDE)
        dx = tx - tl.load(source + item * 2 * n + s, mask=s < n, other=0.0)[None, :]
        dy = ty - tl.load(source + item * 2 * n + n + s, mask=s < n, other=0.0)[None, :]
        v = (s[:, None] < n) & (c[None, :] < C)
        v = tl.load(values + (item * C + c[None, :]) * n + s[:, None], mask=v, other=0.0)
        distance = tl.where(s[None, :] < n, tl.sqrt(dx * dx + dy * dy), float('inf'))
        nearer = tl.minimum(least, tl.min(distance, 1))
        weight = tl.exp2((nearer[:, None] - distance) * scale)
        shrink = tl.exp2((nearer - least) * scale)
        weights = weights * shrink + tl.sum(weight, 1)
        carried = carried * shrink[:, None] + tl.dot(weight, v, input_precision='ieee')
        least = nearer
    tl.store(nearest + item * m + t, least, mask=t < m)
    tl.store(total + item * m + t, weights, mask=t < m)
    place = out + (item * C + c[None, :]) * m + t[:, None]
    kept = (t[:, None] < m) & (c[None, :] < C)
    tl.store(place, carried / weights[:, None], mask=kept)


@triton.jit
def _backward(
    values, source, target, grad, mean, nearest, total, grad_points, grad_values, n, m, scale,
    OF_TARGETS: tl.constexpr, C: tl.constexpr, CHANNELS: tl.constexpr, SIDE: tl.constexpr,
):  # fmt: skip
    """Gradients of a tile of targets, or of a tile of sources and their values, times tau."""
    item = tl.program_id(1).to(tl.int64)
    c = tl.arange(0, CHANNELS)
    sum_x = tl.zeros((SIDE,), tl.float32)
    sum_y = tl.zeros((SIDE,), tl.float32)
    sum_v = tl.zeros((SIDE, CHANNELS), tl.float32)
    own = tl.program_id(0) * SIDE + tl.arange(0, SIDE)
    for start in range(0, n if OF_TARGETS else m, SIDE):
        other = start + tl.arange(0, SIDE)
        t = own if OF_TARGETS else other
        s = other if OF_TARGETS else own
        dx = tl.load(target + item * 2 * m + t, mask=t < m, other=0.0)[:, None]
        dy = tl.load(target + item * 2 * m + m + t, mask=t < m, other=0.0)[:, None]
        dx -= tl.load(source + item * 2 * n + s, mask=s < n, other=0.0)[None, :]
        dy -= tl.load(source + item * 2 * n + n + s, mask=s < n, other=0.0)[None, :]
        v = (s[None, :] < n) & (c[:, None] < C)
        v = tl.load(values + (item * C + c[:, None]) * n + s[None, :], mask=v, other=0.0)
        g = (t[:, None] < m) & (c[None, :] < C)
        g = tl.load(grad + (item * C + c[None, :]) * m + t[:, None], mask=g, other=0.0)
        least = tl.load(nearest + item * m + t, mask=t < m, other=0.0)[:, None]
        weights = tl.load(total + item * m + t, mask=t < m, other=1.0)[:, None]
        middle = tl.load(mean + item * m + t, mask=t < m, other=0.0)[:, None]
        distance = tl.sqrt(dx * dx + dy * dy)
        inside = (t[:, None] < m) & (s[None, :] < n)
        weight = tl.where(inside, tl.exp2((least - distance) * scale) / weights, 0.0)
        slope = tl.dot(g, v, input_precision='ieee') - middle
        slope = slope * weight / tl.maximum(distance, 1e-20)
        sum_x += tl.sum(dx * slope, 1 if OF_TARGETS else 0)
        sum_y += tl.sum(dy * slope, 1 if OF_TARGETS else 0)
        if not OF_TARGETS:
            sum_v += tl.dot(tl.trans(weight), g, input_precision='ieee')
    count = m if OF_TARGETS else n
    sign = -1.0 if OF_TARGETS else 1.0
    tl.store(grad_points + item * 2 * count + own, sign * sum_x, mask=own < count)
    tl.store(grad_points + item * 2 * count + count + own, sign * sum_y, mask=own < count)
    if not OF_TARGETS:
        kept = (own[:, None] < n) & (c[None, :] < C)
        tl.store(grad_values + (item * C + c[None, :]) * n + own[:, None], sum_v, mask=kept)


@triton.jit
def _nearest(source, target, index, n, m, SIDE: tl.constexpr):
    item = tl.program_id(1).to(tl.int64)
    t = tl.program_id(0) * SIDE + tl.arange(0, SIDE)
    tx = tl.load(target + item * 2 * m + t, mask=t < m, other=0.0)[:, None]
    ty = tl.load(target + item * 2 * m + m + t, mask=t < m, other=0.0)[:, None]
    least = tl.full((SIDE,), float('inf'), tl.float32)
    found = tl.zeros((SIDE,), tl.int32)
    for start in range(0, n, SIDE):
        s = start + tl.arange(0, SIDE)
        dx = tx - tl.load(source + item * 2 * n + s, mask=s < n, other=0.0)[None, :]
        dy = ty - tl.load(source + item * 2 * n + n + s, mask=s < n, other=0.0)[None, :]
        squares = tl.where(s[None, :] < n, dx * dx + dy * dy, float('inf'))
        nearer, place = tl.min(squares, 1, return_indices=True)
        found = tl.where(nearer < least, start + place, found)
        least = tl.minimum(nearer, least)
    tl.store(index + item * m + t, found.to(tl.int64), mask=t < m)


def launch(kernel: Any, points: int, batch: int, *arguments: Any, **constants: Any) -> None:
    """Run a kernel on every tile of ``points`` of each item of a batch."""
    with torch.cuda.device_of(arguments[0]):
        kernel[(triton.cdiv(points, SIDE), batch)](*arguments, **constants, SIDE=SIDE, num_warps=8)


def nearest_of_all(target: Tensor, source: Tensor) -> Tensor:
    """Index (B, M) of the source (B, 2, N) that is nearest to each target (B, 2, M)."""
    (batch, _, m), n = target.shape, source.shape[2]
    index = torch.empty(batch, m, dtype=torch.int64, device=target.device)
    launch(_nearest, m, batch, source.contiguous(), target.contiguous(), index, n, m)
    return index


class AllPairs(torch.autograd.Function):
    """:class:`~._soft.SoftTransfer` over all pairs: values, source, target, temperature."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        values, source, target = (x.contiguous() for x in given[:3])
        (batch, channels, n), m = values.shape, target.shape[2]
        ctx.temperature = given[3]
        ctx.counts = n, m, 1 / (ctx.temperature * math.log(2))
        ctx.constants = dict(C=channels, CHANNELS=max(16, triton.next_power_of_2(channels)))
        out = values.new_empty(batch, channels, m)
        nearest, total = values.new_empty(2, batch, m)
        arguments = values, source, target, out, nearest, total, *ctx.counts
        launch(_forward, m, batch, *arguments, **ctx.constants)
        ctx.save_for_backward(*given[:3], out, nearest, total)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        *inputs, out, nearest, total = ctx.saved_tensors
        with torch.no_grad():
            given = *(x.contiguous() for x in (*inputs, grad)), (grad * out).sum(1), nearest, total
            results = [torch.empty_like(x) for x in given[:3]]
            for points, to_targets in ((results[1], False), (results[2], True)):
                arguments = *given, points, results[0], *ctx.counts
                constants = dict(OF_TARGETS=to_targets, **ctx.constants)
                launch(_backward, points.shape[2], len(points), *arguments, **constants)
                points.div_(ctx.temperature)
        return *first_order_only(results, grad, *inputs), None
