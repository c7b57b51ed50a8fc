"""Count what a GPU would be asked to do: kernels, waits of the host, FLOP, bytes, memory."""

from __future__ import annotations

import os
import sys
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mmengine
import torch
import torch.nn.functional as F
from measuring import operations
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

import mmcoordgan
from mmcoordgan.geometry import _near, canonical_grid, chamfer_to_grid, soft_transfer, transfer

aten = torch.ops.aten
PACKAGES = tuple(os.path.dirname(package.__file__) for package in (mmcoordgan, mmengine))
NO_KERNEL = {
    *('detach', 'alias', 'empty', 'empty_strided', 'empty_like', 'new_empty', '_unsafe_view'),
    *('new_empty_strided', 'lift_fresh', '_reshape_alias', 'record_stream', 'resize_', 'set_'),
}
WAITING = ('bincount', 'masked_select', '_unique2', 'nonzero', 'equal')
REFUSED = (
    *('cumsum', 'grid_sampler_2d_backward', 'reflection_pad2d_backward'),
    *('upsample_bilinear2d_backward', '_upsample_bilinear2d_aa_backward'),
    *('upsample_bicubic2d_backward', '_adaptive_avg_pool2d_backward'),
)
"""What ``torch.use_deterministic_algorithms(True)`` refuses on a GPU, of floats."""
TENSORS_PER_LAUNCH = 36
"""Of a ``foreach`` operation, about."""


def place() -> str:
    """The line of this package or MMEngine that is running, or the backward node."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        for package in PACKAGES:
            if name.startswith(f'{package}{os.sep}'):
                path = os.path.relpath(name, os.path.dirname(package)).replace(os.sep, '/')
                return f'{path}:{frame.f_lineno}'
        frame = frame.f_back  # type: ignore[assignment]
    node = torch._C._current_autograd_node()
    return f'backward of {node.name()}' if node is not None else 'elsewhere'


class Simulator(TorchDispatchMode):
    """Sees every operation on fake tensors; what it counts begins anew with :meth:`reset`.

    Fake tensors have no values. Numbers that the host asks for are those of an iteration (integers)
    or 1; questions about tensors on the GPU are answered with no, about those on the CPU with yes.

    Args:
        near: See :func:`recorded_counts`.
    """

    def __init__(self, near: dict[str, list[int]]):
        super().__init__()
        self.near, self.search = near, 'transfer'
        self.iteration = 0
        self.owner = 'weights'
        self.sizes: dict[int, tuple[int, str]] = {}
        self.live: Counter[str] = Counter()
        self.reset()

    def reset(self) -> None:
        self.kernels: Counter[str] = Counter()
        self.syncs: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.flop = self.bytes = 0
        self.most = sum(self.live.values())
        self.held_at_most = dict(self.live)

    @contextmanager
    def of(self, owner: str) -> Iterator[None]:
        """Memory is taken for this."""
        before, self.owner = self.owner, owner
        try:
            yield
        finally:
            self.owner = before

    def tolist(self, tensor: Any) -> list[int]:
        """Numbers of near blocks, as many as asked for, as on a map of a training."""
        if tensor.device.type == 'cuda':
            self.syncs[f'tolist at {place()}'] += 1
        counts = self.near[self.search]
        times = -(-len(tensor) // len(counts))
        return sorted(counts * times, reverse=True)[: len(tensor)]

    def launch(self, kernel: Any, points: int, batch: int, *arguments: Any, **_: Any) -> None:
        """Count a kernel of Triton, in place of ``_triton.launch``."""
        self.kernels[kernel.__name__] += 1
        self.bytes += sum(x.nbytes for x in arguments if isinstance(x, torch.Tensor))

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func._schema.name.split('::')[1]
        if func is aten._local_scalar_dense.default:
            return self._scalar(args[0])
        out = func(*args, **kwargs)
        written = out
        if name.startswith(('_foreach', '_fused')) and out is None:  # in place
            written = [x for x, a in zip(args, func._schema.arguments) if a.alias_info]
        read = {key: value for key, value in kwargs.items() if key != 'out'}
        taken, made = (
            [x for x in tree_flatten(tree)[0] if isinstance(x, torch.Tensor)]
            for tree in ((args, read), written)
        )
        devices = {x.device.type for x in taken + made}
        if 'cuda' not in devices:
            return out
        self._allocate(made)
        if name in ('_to_copy', 'copy_') and len(devices) > 1:
            if not (kwargs.get('non_blocking') or (name == 'copy_' and args[2:] == (True,))):
                to_host = made[0].device.type == 'cpu'
                self.syncs[f'copy to the {"host" if to_host else "GPU"} at {place()}'] += 1
            return out
        viewed = any(r.alias_info and not r.alias_info.is_write for r in func._schema.returns)
        if name in NO_KERNEL or func.is_view or viewed or not made:
            return out
        mask = name in ('index', 'index_put_') and any(
            isinstance(i, torch.Tensor) and i.dtype == torch.bool for i in args[1]
        )
        if name in WAITING or mask:
            self.syncs[f'{name} at {place()}'] += 1
        if name in REFUSED and made[0].is_floating_point():
            self.refused[f'{name} at {place()}'] += 1
        self._count(func, name, args, taken + made, out)
        return out

    def _scalar(self, tensor: Any) -> Any:
        on_gpu = tensor.device.type == 'cuda'
        if on_gpu:
            self.syncs[f'item at {place()}'] += 1
        if tensor.dtype == torch.bool:
            return not on_gpu
        return 1.0 if tensor.is_floating_point() else self.iteration

    def _count(self, func, name, args, tensors, out) -> None:
        launches = 1
        if name == 'convolution_backward':
            launches = sum(args[-1])
        elif name.startswith('_foreach') or name.startswith('_fused'):
            launches = -(-len(args[0]) // TENSORS_PER_LAUNCH)
        self.flop += operations(func, args, out)
        if name == 'convolution' and args[2] is not None:  # cuDNN adds biases in another pass
            launches += 1
            tensors = [*tensors, out, out]
        self.kernels[name] += launches
        for tensor in tensors:
            if tensor.device.type == 'cuda':
                size = tensor.element_size()
                for length, stride in zip(tensor.shape, tensor.stride()):
                    size *= length if stride else 1
                self.bytes += size

    def _allocate(self, tensors: list) -> None:
        backward = torch._C._current_autograd_node() is not None
        owner = 'gradients, backward' if backward else self.owner
        for tensor in tensors:
            if not isinstance(tensor, FakeTensor) or tensor.device.type != 'cuda':
                continue
            storage = tensor.untyped_storage()
            key = storage._cdata
            if key in self.sizes:
                continue
            size = -(-storage.nbytes() // 512) * 512
            self.sizes[key] = size, owner
            self.live[owner] += size
            weakref.finalize(storage, self._free, key)
        total = sum(self.live.values())
        if total > self.most:
            self.most, self.held_at_most = total, dict(self.live)

    def _free(self, key: int) -> None:
        size, owner = self.sizes.pop(key)
        self.live[owner] -= size


def recorded_counts(size: int) -> dict[str, list[int]]:
    """How many blocks the search finds near each block, on smooth maps with real values.

    Args:
        size: Of the maps.

    Returns:
        The counts of one map, for 'transfer' (at the temperature of the size) and for 'chamfer'.
    """
    found: list[list[int]] = []
    pairs, on_cpu = _near.Neighborhood.pairs, _near.on_cpu

    def spy(self: Any, radius: Any, longest: Any = None) -> Any:
        result = pairs(self, radius, longest)
        found.append(result[0])
        return result

    def smooth(seed: int) -> torch.Tensor:
        source = torch.Generator().manual_seed(seed)
        coarse = 0.065 * torch.randn(1, 2, 4, 4, generator=source)
        shift = F.interpolate(coarse, (size, size), mode='bicubic', align_corners=True)
        return 0.95 * (canonical_grid(size, size) + shift)

    setattr(_near.Neighborhood, 'pairs', spy)  # noqa: B010
    _near.on_cpu = transfer.on_cpu = lambda tensor: False
    try:
        soft_transfer(torch.rand(1, 3, size, size), smooth(1), smooth(2), 1.28 / size)
        chamfer_to_grid(smooth(1))
    finally:
        setattr(_near.Neighborhood, 'pairs', pairs)  # noqa: B010
        _near.on_cpu = transfer.on_cpu = on_cpu
    return {'transfer': found[0], 'chamfer': found[1]}
