"""Points of the plane in small blocks of neighbors: what makes searching them cheap."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK_SIZE = 16  # points in a block: 4 x 4 pixels where the map is regular
FAR = 1e15  # where empty slots stand: squares stay finite in float32, and exp(-FAR) is 0


class Blocks(NamedTuple):
    """A batch of point sets, each in K blocks of :data:`BLOCK_SIZE` slots with their boxes."""

    order: Tensor
    """(B, K * BLOCK_SIZE), a permutation: the point in each slot; N or more: an empty slot."""
    low: Tensor
    """(B, 2, strips, K / strips), smallest x and y in each block; strips lie from left to right,
    the blocks of a strip from top to bottom."""
    high: Tensor  # (B, 2, strips, K / strips), largest x and y

    def of_batch(self, batch: int, dtype: torch.dtype) -> Blocks:
        """The same blocks for every item of a batch, where they are those of a single one."""
        low, high = self.low.to(dtype), self.high.to(dtype)
        return Blocks(*(x.expand(batch, *x.shape[1:]) for x in (self.order, low, high)))

    def pack(self, features: Tensor, empty: float | None = None) -> Tensor:
        """Features of the points (B, C, N) -> features of the slots (C, B * K, BLOCK_SIZE).

        Empty slots get the value ``empty``, by default that of the last point.
        """
        missing = 0, self.order.shape[1] - features.shape[2]
        mode = 'replicate' if empty is None else 'constant'
        padded = F.pad(features, missing, mode, empty)
        packed = padded.gather(2, self.order[:, None].expand(-1, features.shape[1], -1))
        return packed.transpose(0, 1).reshape(features.shape[1], -1, BLOCK_SIZE)

    def unpack(self, packed: Tensor, count: int) -> Tensor:
        """Features of the slots (C, B * K, BLOCK_SIZE) -> features of the points (B, C, N)."""
        batch, slots = self.order.shape
        packed = packed.reshape(-1, batch, slots).transpose(0, 1)
        features = packed.new_empty(packed.shape)
        features.scatter_(2, self.order[:, None].expand_as(packed), packed)
        return features[:, :, :count]


@torch.no_grad()
def make_blocks(points: Tensor) -> Blocks:
    """Put points (B, 2, N) into blocks of neighbors by Sort-Tile-Recursive packing.

    Points are sorted by x into strips of equal number, each strip by y into blocks of equal number
    (Leutenegger et al., ICDE 1997): wherever the points lie, all blocks hold as many.
    """
    count = points.shape[2]
    strips = math.ceil(math.sqrt(count / BLOCK_SIZE))
    per_strip = BLOCK_SIZE * math.ceil(count / (strips * BLOCK_SIZE))
    # Empty slots are sorted as copies of the last point, so that they widen no box.
    padded = F.pad(points, (0, strips * per_strip - count), mode='replicate')
    order = padded[:, 0].argsort(1)  # (B, slots)
    y = padded[:, 1].gather(1, order).unflatten(1, (strips, per_strip))
    order = order.unflatten(1, (strips, per_strip)).gather(2, y.argsort(2)).flatten(1)
    packed = padded.gather(2, order[:, None].expand(-1, 2, -1)).unflatten(2, (-1, BLOCK_SIZE))
    shape = (strips, per_strip // BLOCK_SIZE)
    return Blocks(order, packed.amin(3).unflatten(2, shape), packed.amax(3).unflatten(2, shape))
