"""Which blocks of points are near which: work on those pairs instead of on all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ._blocks import BLOCK_SIZE, FAR, Blocks

MAX_PAIRS = {'cpu': 2**18, 'other': 2**24}
"""Most pairs of points, or of blocks, at once: what a CPU's cache holds, what keeps a GPU busy."""

ROUNDING = 1 + 1e-6  # room in bounds on distances, so that rounding loses no neighbor


def on_cpu(tensor: Tensor) -> bool:
    """Whether a tensor is where looking at values is cheap and small steps are fast."""
    return tensor.device.type == 'cpu'


def at_once(tensor: Tensor, pairs: int) -> int:
    """How many rows of so many pairs to take at once, on the device of ``tensor``; at least 1."""
    return max(1, MAX_PAIRS['cpu' if on_cpu(tensor) else 'other'] // pairs)


class Neighborhood:
    """A few blocks of targets (R), and how far the blocks of sources near them (C) are.

    ``items`` tells which of the batch, ``part`` which of their target blocks. Blocks are counted
    through the batch: ``item * blocks_per_item + block``.
    """

    def __init__(self, walk: Walk, items: slice, part: slice):
        low, high = (box[items].flatten(2)[:, :, part] for box in walk.targets[1:])  # (b, 2, r)
        low, high = (box.transpose(0, 1)[..., None] for box in (low, high))  # (2, b, r, 1)
        source_low = walk.sources.low[items]  # (b, 2, strips, per_strip)
        source_high = walk.sources.high[items].flatten(2).transpose(0, 1)[:, :, None]
        count, blocks = low.shape[1], source_high.shape[-1]
        first = torch.arange(items.start, items.start + count, device=low.device) * blocks
        start = items.start * walk.targets.low[0, 0].numel() + part.start
        self.rows = slice(start, start + low.shape[1] * low.shape[2])
        """The blocks of targets."""
        around = blocks_around((low + high) / 2, source_low) + first[:, None, None]
        self.nearest = walk.nearest_of(self.rows, around.flatten(0, 1))
        """(R,), every point of a target block has a source that is at most this far away."""
        source_low = source_low.flatten(2).transpose(0, 1)[:, :, None]  # (2, b, 1, blocks)
        columns = torch.arange(blocks, device=low.device)
        if on_cpu(low):  # a GPU would have to finish all work before the host could look
            box = low.amin((1, 2), keepdim=True), high.amax((1, 2), keepdim=True)
            far = smallest_distance(*box, source_low, source_high)[0, 0]
            columns = (~(far > ROUNDING * (self.nearest.amax() + walk.margin))).nonzero()[:, 0]
            source_low, source_high = source_low[..., columns], source_high[..., columns]
        self.lower = smallest_distance(low, high, source_low, source_high).flatten(0, 1)
        """(R, C), no point of the one block is nearer to a point of the other."""
        self.sources = (first[:, None] + columns).repeat_interleave(low.shape[2], 0)
        """(R, C), the blocks of sources."""
        self.no_source = walk.sources.low.shape[0] * blocks

    def pairs(
        self, radius: Tensor, longest: list[int] | None = None
    ) -> tuple[list[int], Iterator[tuple[Tensor, Tensor]]]:
        """Target blocks, each with all source blocks that are not farther than ``radius`` (R,).

        Returns the numbers of sources of each target block, the largest first: pass them as
        ``longest`` to ask again with the same radius, or the host waits for the device, here and
        nowhere else. Also returns an iterator of target blocks (n,) and their source blocks (n, L),
        of at most :data:`MAX_PAIRS` point pairs or one target block. Rows with fewer than L sources
        are filled up with ``no_source``, the block behind the last.
        """
        # Written so that what is not a number keeps everything.
        keep = ~(self.lower > ROUNDING * radius[:, None])
        counts, rows = keep.sum(1).sort(descending=True)
        if longest is None:
            longest = counts.tolist()
        keep, sources = keep[rows], self.sources[rows]
        # Each kept source moves to the next free place of its row, the others to one too many.
        place = keep.cumsum(1).sub_(1).masked_fill_(~keep, longest[0])
        near = sources.new_full((len(rows), longest[0] + 1), self.no_source)
        near.scatter_(1, place, sources)
        return longest, self._portions(rows + self.rows.start, near, longest)

    def _portions(
        self, rows: Tensor, near: Tensor, longest: list[int]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        begin = 0
        while begin < len(longest):
            end = begin + at_once(near, longest[begin] * BLOCK_SIZE**2)
            yield rows[begin:end], near[begin:end, : longest[begin]]
            begin = end


class Walk:
    """Two batches of point sets, and all their neighborhoods one after the other.

    ``targets`` and ``sources`` are the blocks of the points ``target`` (B, 2, M) and ``source``
    (B, 2, N), which may have ``values`` (B, C, N). Sources that are ``margin`` farther than the
    nearest one still matter. Packed sources have one more block, which is far away: no source.
    """

    def __init__(
        self,
        targets: Blocks,
        sources: Blocks,
        target: Tensor,
        source: Tensor,
        margin: float = 0,
        values: Tensor | None = None,
    ):
        self.targets, self.sources = targets, sources
        self.target = targets.pack(target)
        self.source = F.pad(sources.pack(source, empty=FAR), (0, 0, 0, 1), value=FAR)
        if values is not None:
            self.values = F.pad(sources.pack(values, empty=0), (0, 0, 0, 1))
        self.margin = margin
        self.buffers: dict[int, Tensor] = {}

    def __iter__(self) -> Iterator[Neighborhood]:
        """A few blocks of targets at a time (:data:`MAX_PAIRS`)."""
        batch, blocks = len(self.targets.low), self.targets.low[0, 0].numel()
        step = at_once(self.target, self.sources.low[0, 0].numel())
        # Items of a batch share nothing: a GPU takes several at once to be busy, a CPU one.
        items = 1 if on_cpu(self.target) else max(1, step // blocks)
        for item in range(0, batch, items):
            for start in range(0, blocks, min(step, blocks)):
                part = slice(start, min(start + step, blocks))
                yield Neighborhood(self, slice(item, item + items), part)

    def scratch(self, number: int, *shape: int) -> Tensor:
        """Buffer ``number`` in this shape, for intermediate results; what it held before is lost.

        Fresh memory costs a CPU more time than the computation.
        """
        size = math.prod(shape)
        if number not in self.buffers or len(self.buffers[number]) < size:
            self.buffers[number] = self.target.new_empty(size)
        return self.buffers[number][:size].view(shape)

    def differences(self, rows: Tensor | slice, near: Tensor) -> tuple[Tensor, Tensor]:
        """x and y of target - source, (n, BLOCK_SIZE, L * BLOCK_SIZE) each, in scratch memory.

        ``rows`` are n blocks of targets, ``near`` (n, L) the blocks of sources that each faces.
        """
        target, source = self.target[:, rows], gather(self.source, near)
        shape = (*target.shape[1:], source.shape[2])
        dx, dy = self.scratch(0, *shape), self.scratch(1, *shape)
        torch.sub(target[0, :, :, None], source[0, :, None], out=dx)
        torch.sub(target[1, :, :, None], source[1, :, None], out=dy)
        return dx, dy

    def nearest_of(self, rows: slice, around: Tensor) -> Tensor:
        """Largest distance (R,) of a target in each of R blocks to the nearest source in its
        blocks ``around`` (R, L)."""
        found = []
        step = at_once(self.target, around.shape[1] * BLOCK_SIZE**2)
        for part in range(0, len(around), step):
            near = around[part : part + step]
            begin = rows.start + part
            dx, dy = self.differences(slice(begin, begin + len(near)), near)
            found.append(dx.mul_(dx).addcmul_(dy, dy).amin(2).amax(1))
        return torch.cat(found).sqrt_()


def smallest_distance(low: Tensor, high: Tensor, other_low: Tensor, other_high: Tensor) -> Tensor:
    """Lower bound on the distance between points of two boxes, x and y in the first dimension."""
    gap = torch.maximum(low - other_high, other_low - high)
    return hypotenuse(*gap.clamp_(min=0))


def blocks_around(points: Tensor, source_low: Tensor) -> Tensor:
    """Blocks of sources around points (2, b, r, 1): two each in its strip and its neighbors.

    ``source_low`` is (b, 2, strips, blocks in a strip). Returns (b, r, 6), counted within an item.
    """
    x, y = points
    strips, per_strip = source_low.shape[2:]
    strip = torch.searchsorted(source_low[:, 0].amin(2), x[..., 0].contiguous())  # (b, r)
    around = torch.arange(-2, 1, device=x.device)
    strip = (strip[..., None] + around).clamp_(0, strips - 1)  # (b, r, 3)
    item = torch.arange(len(strip), device=x.device)[:, None, None]
    block = (source_low[item, 1, strip] <= y[..., None]).sum(3)  # (b, r, 3)
    block = torch.stack([block - 1, block], dim=2).clamp_(0, per_strip - 1)
    return (strip[:, :, None] * per_strip + block).flatten(2)


def gather(packed: Tensor, near: Tensor) -> Tensor:
    """Slots (C, blocks, S) of the blocks ``near`` (n, L) -> (C, n, L * S)."""
    return packed.index_select(1, near.flatten()).view(len(packed), len(near), -1)


def hypotenuse(dx: Tensor, dy: Tensor) -> Tensor:
    """Length of (dx, dy), written over dx."""
    return dx.mul_(dx).addcmul_(dy, dy).sqrt_()


@torch.no_grad()
def nearest_index(targets: Blocks, sources: Blocks, target: Tensor, source: Tensor) -> Tensor:
    """Index (B, M) in [0, N) of the source (B, 2, N) that is nearest to each target (B, 2, M).

    ``targets`` and ``sources`` are their blocks. Among equally near sources any may be chosen.
    """
    walk = Walk(targets, sources, target, source)
    slots = torch.empty_like(walk.target[0], dtype=torch.int64)
    for hood in walk:
        for rows, near in hood.pairs(hood.nearest)[1]:
            dx, dy = walk.differences(rows, near)
            index = dx.mul_(dx).addcmul_(dy, dy).argmin(2)  # (n, BLOCK_SIZE)
            slots[rows] = near.gather(1, index // BLOCK_SIZE) * BLOCK_SIZE + index % BLOCK_SIZE
    slot = targets.unpack(slots[None], target.shape[2])[:, 0]  # (B, M)
    return sources.order.flatten()[slot]
