"""Count what a GPU would be asked to do: kernels, waits of the host, FLOP, bytes, memory."""

from __future__ import annotations

import math
import os
import sys
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import mmengine
import numpy as np
import torch
from measuring import operations
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

import mmcoordgan
from mmcoordgan.geometry import _near

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
NEAR = {'transfer': (72, 12), 'nearest': (7, 2)}
"""How many blocks of sources the search finds near a block of targets, at most and at least: on
smooth maps of 128 x 128, for the soft transfer and for the nearest pixel."""


def place() -> str:
    """The line of this package or MMEngine that is running, or the backward node."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        for package in PACKAGES:
            if name.startswith(f'{package}{os.sep}'):
                path = os.path.relpath(name, os.path.dirname(package)).replace(os.sep, '/')
                return f'{path}:{frame.f_lineno}'
        frame = frame.f_back
    node = torch._C._current_autograd_node()
    return f'backward of {node.name()}' if node is not None else 'elsewhere'


class Simulator(TorchDispatchMode):
    """Sees every operation on fake tensors; what it counts begins anew with :meth:`reset`.

    Fake tensors have no values. Numbers that the host asks for are those of an iteration (integers)
    or 1; questions about tensors on the GPU are answered with no, about those on the CPU with yes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.iteration = self.live = 0
        self.sizes: dict[int, int] = {}
        self.reset()

    def reset(self) -> None:
        self.kernels: Counter[str] = Counter()
        self.syncs: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.flop = self.bytes = 0
        self.most = self.live

    def counts(self) -> dict[str, Any]:
        """What was counted since the last reset."""
        return {
            'kernels': sum(self.kernels.values()),
            'syncs': dict(self.syncs),
            'refused': dict(self.refused),
            'tflop': self.flop / 1e12,
            'gigabytes': self.bytes / 1e9,
            'peak_gib': self.most / 2**30,
        }

    @contextmanager
    def search(self) -> Iterator[None]:
        """Let the search find as many near blocks as on a map of a training."""
        pairs = _near.Neighborhood.pairs

        def recorded(hood: Any, radius: Any, longest: Any = None) -> Any:
            if longest is None:
                self.syncs[f'search at {place()}'] += 1
                numbers = NEAR['nearest' if radius is hood.nearest else 'transfer']
                longest = np.linspace(*numbers, len(radius)).round().astype(int).tolist()
            return pairs(hood, radius, longest)

        with patch.object(_near.Neighborhood, 'pairs', recorded):
            yield

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
        elif name.startswith(('_foreach', '_fused')):
            launches = -(-len(args[0]) // TENSORS_PER_LAUNCH)
        elif name == 'convolution' and args[2] is not None:  # cuDNN adds biases in another pass
            launches, tensors = 2, [*tensors, out, out]
        self.flop += operations(func, args, out)
        self.kernels[name] += launches
        for tensor in (x for x in tensors if x.device.type == 'cuda'):
            lengths = (n for n, stride in zip(tensor.shape, tensor.stride()) if stride)
            self.bytes += tensor.element_size() * math.prod(lengths)

    def _allocate(self, tensors: list) -> None:
        for tensor in tensors:
            storage = tensor.untyped_storage()
            key = storage._cdata
            if tensor.device.type == 'cuda' and key not in self.sizes:
                self.sizes[key] = -(-storage.nbytes() // 512) * 512
                self.live += self.sizes[key]
                weakref.finalize(storage, self._free, key)
        self.most = max(self.most, self.live)

    def _free(self, key: int) -> None:
        self.live -= self.sizes.pop(key)
