"""What steps of the published size ask of a GPU, counted without one.

PyTorch's meta device, whose tensors have no values, stands for the GPU. Steps are in float32, as
nothing is cast automatically there. Operations that need values, such as ``nonzero``, raise.
"""

import traceback
from collections import Counter
from contextlib import nullcontext

import pytest
import torch
from measuring import LAZY, build_training
from torch.optim import optimizer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from mmcoordgan.geometry import _device, _near, hard_transfer, soft_transfer

pytestmark = pytest.mark.skipif(
    torch.__version__ < '2.13', reason='the meta device of older versions of PyTorch lacks kernels'
)
NOT_DETERMINISTIC = {
    *('cumsum', 'grid_sampler_2d_backward', 'reflection_pad2d_backward'),
    *('upsample_bilinear2d_backward', '_upsample_bilinear2d_aa_backward'),
    *('upsample_bicubic2d_backward', '_adaptive_avg_pool2d_backward'),
}
"""What ``torch.use_deterministic_algorithms(True)`` refuses on a GPU, of floats."""


class Counts(TorchDispatchMode):
    """Counts kernels, and where the host waits; what it reads are ones, or False."""

    def __init__(self) -> None:
        super().__init__()
        self.reset()

    def reset(self) -> None:
        self.kernels, self.waits = 0, Counter()

    def wait(self, what: str) -> None:
        modules = (frame.f_globals['__name__'] for frame, _ in traceback.walk_stack(None))
        ours = (m for m in modules if m.startswith(('mmcoordgan.', 'mmengine.')))
        self.waits[f'{what} in {next(ours)}'] += 1

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name, kwargs = func._schema.name.split('::')[1], kwargs or {}
        if name == '_local_scalar_dense' and args[0].is_meta:
            self.wait('item')
            return False if args[0].dtype == torch.bool else 1
        if name == '_to_copy' and str(kwargs.get('device')) == 'cpu' and args[0].is_meta:
            self.wait('copy')
            return torch.ones_like(args[0], device='cpu')
        out = func(*args, **kwargs)
        tensors = [x for x in tree_flatten((args, kwargs, out))[0] if isinstance(x, torch.Tensor)]
        if not any(x.is_meta for x in tensors) or func.namespace == 'prim':
            return out
        mixed = any(x.is_cpu and x.ndim for x in tensors)
        if mixed and name in ('_to_copy', 'copy_'):
            if not (kwargs.get('non_blocking') or args[2:] == (True,)):
                self.wait('copy')
            return out
        assert not mixed, f'{name} mixes devices'
        assert name not in NOT_DETERMINISTIC or not out.is_floating_point(), name
        if name == 'index_put_' and any(getattr(x, 'dtype', 0) == torch.bool for x in args[1]):
            self.wait('mask')
        views = any(r.alias_info and not r.alias_info.is_write for r in func._schema.returns)
        if not (views or func.is_view or 'empty' in name or name == '_unsafe_view'):
            self.kernels += launches(name, args)
        return out


def launches(name: str, args: tuple) -> int:
    """How many kernels an operation starts."""
    if name == 'convolution_backward':
        return sum(args[-1])  # its output_mask
    if name == 'convolution':  # cuDNN adds biases in another pass
        return 1 + (args[2] is not None)
    if name.startswith('_foreach'):  # about 36 tensors at once
        return -(-len(args[0]) // 36)
    return 1


@pytest.fixture
def counts(monkeypatch):
    """Take the paths of a GPU that computes deterministically, each block with 40 near ones."""
    counts, devices = Counts(), optimizer._get_foreach_kernels_supported_devices()
    find = _near.Neighborhood.pairs

    def pairs(hood, radius, longest=None):
        if longest is None:
            counts.wait('search')
        return find(hood, radius, longest or [40] * len(radius))

    monkeypatch.setattr(_near.Neighborhood, 'pairs', pairs)
    monkeypatch.setattr(_device, 'USE_TRITON', False)
    monkeypatch.setattr(torch, 'autocast', lambda *_, **__: nullcontext())
    monkeypatch.setattr(torch, 'are_deterministic_algorithms_enabled', lambda: True)
    name = '_get_foreach_kernels_supported_devices'
    monkeypatch.setattr(optimizer, name, lambda: [*devices, 'meta'])
    with counts, torch.autograd.set_multithreading_enabled(False):
        yield counts


def build(counts, config: str) -> tuple:
    """Model and optimizers on the GPU, and two images on the host."""
    model, optimizers = build_training(config, 'meta')
    size = model.generator.image_size
    counts.reset()
    return model, optimizers, {'inputs': list(torch.zeros(2, 3, size, size, dtype=torch.uint8))}


# The host waits once for every optimizer step and once for every search.
SEARCH = {f'search in mmcoordgan.geometry.{name}': 1 for name in ('_near', '_soft')}
READ = 'copy in mmcoordgan.models.finite'


def test_training_of_stage_1(counts):
    """R1 has no kernel for each channel. Without it, 4,000 with the 364 casts of autocast."""
    model, optimizers, data = build(counts, 'coordgan/celeba_128.py')
    waits, kernels = {}, {}
    for iteration in (LAZY, LAZY, LAZY + 1):  # the first one makes the optimizers' state
        counts.reset()
        model.iteration.fill_(iteration)
        model.train_step(data, optimizers)
        waits[iteration], kernels[iteration] = counts.waits, counts.kernels
    assert waits == {LAZY: {READ: 3, **SEARCH}, LAZY + 1: {READ: 2, **SEARCH}}
    assert 3000 < kernels[LAZY + 1] <= 3636 < kernels[LAZY] <= 4500


@torch.no_grad()
def test_stage_2(counts):
    model, optimizers, data = build(counts, 'coordgan/celeba_128_encoder.py')
    for _ in range(2):  # the first one copies constants
        counts.reset()
        with torch.enable_grad():
            model.train_step(data, optimizers)
    assert counts.waits == {READ: 1}
    counts.reset()
    found = model.eval().encode(model.data_preprocessor(data)['inputs'])
    model.render(found)
    coords = found.coords
    labels = coords.new_zeros(2, 7, *coords.shape[2:])
    soft_transfer(labels, coords, coords.flip(0), 1.28 / coords.shape[-1])
    hard_transfer(labels, coords, coords.flip(0))
    assert counts.waits == {'item in mmcoordgan.geometry.transfer': 2, **SEARCH}
