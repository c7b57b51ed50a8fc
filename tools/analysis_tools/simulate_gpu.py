"""What a training, test or inference step of a config would do on a GPU, found without one.

Prints kernels, synchronizations with their lines, FLOP, bytes moved, peak memory, and which batches
fit cards of 12 to 80 GB. Steps run on fake CUDA tensors: no kernel runs, but every operation shows
its device, dtype and size, and mixed devices raise. All figures are simulated, none is measured.
Needs the CPU build of PyTorch and a C++ compiler.
"""

from __future__ import annotations

import argparse
import math
import sys
import warnings
import weakref
from collections import Counter
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any
from unittest.mock import patch

import fake_cuda  # noqa: F401  before torch
import numpy as np
import torch
from measuring import LAZY, build_training, operations
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from mmcoordgan.errors import explained_errors
from mmcoordgan.geometry import _near, hard_transfer, soft_transfer

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
CARDS = (12, 24, 40, 80)
CONTEXT = 1.0
"""GiB that CUDA and its libraries hold."""
FRAGMENTS = 1.1
"""The allocator holds about so much more than it has given out."""


def place() -> str:
    """The line of this package or MMEngine that is running, or the backward node."""
    frame = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get('__name__', '')
        if module.startswith(('mmcoordgan.', 'mmengine.')):
            return f'{module.replace(".", "/")}.py:{frame.f_lineno}'
        frame = frame.f_back
    node = torch._C._current_autograd_node()
    return f'backward of {node.name()}' if node is not None else 'elsewhere'


class Simulation(TorchDispatchMode):
    """A model on the fake GPU, whose operations are counted; see :func:`measuring.build_training`.

    Fake tensors have no values. Numbers that the host asks for are those of an iteration (integers)
    or 1; questions about tensors on the GPU are answered with no, about those on the CPU with yes.
    """

    fake = FakeTensorMode()  # one for all: some constants are kept

    def __init__(self, config: str, amp: bool):
        super().__init__()
        self.iteration = self.live = 0
        self.sizes: dict[int, int] = {}
        self.reset()
        with self.fake, self:
            self.model, self.optimizers = build_training(config, 'cuda', amp)

    def reset(self) -> None:
        """Begin to count anew."""
        self.syncs: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.kernels = self.flop = self.bytes = 0
        self.most = self.live

    def run(self, batch: int, *names: str) -> dict[str, dict[str, Any]]:
        """Simulate each step, or those with these names, twice; what the second one does."""
        steps: dict[str, Callable[[int], Any]] = {
            'training with R1': partial(self.train, LAZY),
            'training': partial(self.train, LAZY + 1),
            'testing': self.test,
            'inference': self.infer,
        }
        if not hasattr(self.model, 'discriminator'):
            del steps['training with R1']
        if _near.USE_TRITON:
            import_module('mmcoordgan.geometry._triton').launch = self.launch
        found = {}
        search = patch.object(_near.Neighborhood, 'pairs', self.search(_near.Neighborhood.pairs))
        with self.fake, self, search, torch.autograd.set_multithreading_enabled(False):
            for name in names or steps:
                steps[name](batch)
                self.reset()
                steps[name](batch)
                found[name] = {
                    'kernels': self.kernels,
                    'syncs': dict(self.syncs),
                    'refused': dict(self.refused),
                    'tflop': self.flop / 1e12,
                    'gigabytes': self.bytes / 1e9,
                    'peak_gib': self.most / 2**30,
                }
        return found

    def train(self, iteration: int, batch: int) -> None:
        self.iteration = iteration
        self.model.train().train_step(self.images(batch), self.optimizers)

    def test(self, batch: int) -> None:
        samples = {'inputs': {'num_batches': batch}}
        encodes = hasattr(self.model, 'encoder')
        self.model.eval().test_step(self.images(batch) if encodes else samples)

    @torch.no_grad()
    def infer(self, batch: int) -> None:
        """Codes, maps, images, and labels carried from image to image."""
        model = self.model.eval()
        if hasattr(model, 'encoder'):
            encoding = model.encode(model.data_preprocessor(self.images(batch))['inputs'])
            model.render(encoding)
            coords = encoding.coords
        else:
            coords = model.sample(*model.sample_codes(batch))[1]
        labels = coords.new_zeros(batch, 7, *coords.shape[2:])
        soft_transfer(labels, coords, coords.flip(0), 1.28 / coords.shape[-1])
        hard_transfer(labels, coords, coords.flip(0))

    def images(self, batch: int) -> dict[str, list]:
        size = self.model.generator.image_size
        return {'inputs': [torch.zeros(3, size, size, dtype=torch.uint8) for _ in range(batch)]}

    def search(self, pairs: Any) -> Any:
        """``Neighborhood.pairs`` that finds as many near blocks as on a map of a training."""

        def recorded(hood: Any, radius: Any, longest: Any = None) -> Any:
            if longest is None:
                self.syncs[f'search at {place()}'] += 1
                numbers = NEAR['nearest' if radius is hood.nearest else 'transfer']
                longest = np.linspace(*numbers, len(radius)).round().astype(int).tolist()
            return pairs(hood, radius, longest)

        return recorded

    def launch(self, kernel: Any, points: int, batch: int, *arguments: Any, **_: Any) -> None:
        """Count a kernel of Triton, in place of ``_triton.launch``."""
        self.kernels += 1
        self.bytes += sum(x.nbytes for x in arguments if isinstance(x, torch.Tensor))

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func._schema.name.split('::')[1]
        if name == '_local_scalar_dense':
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
        self.kernels += launches
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


def largest_batches(
    simulation: Simulation, batch: int, rows: dict[str, dict[str, Any]]
) -> dict[int, int]:
    """The largest even batch whose training fits each card, from the peaks of two batches."""
    names = [name for name in rows if name.startswith('training')]
    found = rows, simulation.run(2 * batch, *names)
    peak, more = (max(steps[name]['peak_gib'] for name in names) for steps in found)
    per_image = (more - peak) / batch
    fixed = peak - batch * per_image
    room = {card: (card - CONTEXT) / FRAGMENTS - fixed for card in CARDS}
    return {card: max(0, int(left / per_image) // 2 * 2) for card, left in room.items()}


@explained_errors('simulate_gpu.py')
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config')
    parser.add_argument('--batch-size', type=int, default=2, help='even [2]')
    parser.add_argument('--amp', action='store_true', help='autocast to bfloat16')
    text = 'print what randomness.deterministic=True refuses on a GPU'
    parser.add_argument('--deterministic', action='store_true', help=text)
    text = "with Triton's kernels for all pairs, in place of the search; needs Triton"
    parser.add_argument('--triton', action='store_true', help=text)
    args = parser.parse_args()
    torch.use_deterministic_algorithms(args.deterministic)
    _near.USE_TRITON = args.triton
    warnings.simplefilter('ignore')
    simulation = Simulation(args.config, args.amp)
    rows = simulation.run(args.batch_size)
    print(f'{args.config}, batch {args.batch_size}, {"bfloat16" if args.amp else "float32"}')
    print(f'{"step":18}{"kernels":>9}{"syncs":>7}{"TFLOP":>9}{"GB moved":>10}{"peak GiB":>10}')
    for name, row in rows.items():
        figures = f'{row["tflop"]:9.2f}{row["gigabytes"]:10.1f}{row["peak_gib"]:10.2f}'
        print(f'{name:18}{row["kernels"]:9}{sum(row["syncs"].values()):7}{figures}')
    for name, row in rows.items():
        print(f'\n{name}: the host waits')
        for line, count in sorted(row['syncs'].items(), key=lambda item: -item[1]):
            print(f'{count:7}  {line}')
        for line, count in row['refused'].items() if args.deterministic else ():
            print(f'{count:7}  {line} is refused')
    fits = largest_batches(simulation, args.batch_size, rows)
    print('\nlargest batch that trains on a card: ', end='')
    print(', '.join(f'{card} GB: {batch or "none"}' for card, batch in fits.items()))


if __name__ == '__main__':
    main()
