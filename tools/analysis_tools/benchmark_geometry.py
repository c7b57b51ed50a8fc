"""Time and memory of the correspondence functions beside brute force over all pairs of pixels.

Prints seconds (on the CPU those of all threads together) and peak memory.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from measuring import Cost, machine, measure
from torch import Tensor

from mmcoordgan.geometry import (
    _device,
    canonical_grid,
    chamfer_to_grid,
    hard_transfer,
    soft_transfer,
)

TEMPERATURE_TIMES_SIZE = 1.28  # 0.01 at 128 x 128
ALL_PAIRS_LIMIT = {'cpu': 128, 'cuda': 64}
"""Largest side for brute force: on a CPU, a matrix of distances at 256 x 256 has 16 GiB; on a GPU,
``cdist`` fails on a batch of 8 at 128."""


def smooth_map(size: int, seed: int) -> Tensor:
    """The canonical grid under a smooth random displacement (1, 2, size, size)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = 0.065 * torch.randn(1, 2, 4, 4, generator=generator)
    shift = F.interpolate(coarse, (size, size), mode='bicubic', align_corners=True)
    return 0.95 * (canonical_grid(size, size) + shift)


def all_pairs(values: Tensor, source: Tensor, target: Tensor, temperature: float) -> Tensor:
    """Soft transfer as its definition reads."""
    difference = target.flatten(2)[:, :, :, None] - source.flatten(2)[:, :, None]
    weights = torch.softmax(-difference.norm(dim=1) / temperature, dim=2)
    return values.flatten(2) @ weights.mT


def all_pairs_cdist(values: Tensor, source: Tensor, target: Tensor, temperature: float) -> Tensor:
    """The same with torch.cdist, which never holds the differences."""
    exact = 'donot_use_mm_for_euclid_dist'
    distance = torch.cdist(target.flatten(2).mT, source.flatten(2).mT, compute_mode=exact)
    return values.flatten(2) @ torch.softmax(-distance / temperature, dim=2).mT


def all_pairs_hard(values: Tensor, source: Tensor, target: Tensor) -> Tensor:
    index = torch.cdist(target.flatten(2).mT, source.flatten(2).mT).argmin(2)
    return values.flatten(2).gather(2, index[:, None].expand(-1, values.shape[1], -1))


def all_pairs_chamfer(coords: Tensor) -> Tensor:
    grid = canonical_grid(*coords.shape[-2:], coords.device, coords.dtype).flatten(1).mT[None]
    squared = torch.cdist(coords.flatten(2).mT, grid).square()
    return squared.amin(1).mean(1) + squared.amin(2).mean(1)


METHODS: dict[str, dict[str, Any]] = {
    'soft_transfer, forward and backward': {
        'near pixels': soft_transfer,
        'all pairs': all_pairs,
        'all pairs, cdist': all_pairs_cdist,
    },
    'hard_transfer': {'near pixels': hard_transfer, 'all pairs': all_pairs_hard},
    'chamfer_to_grid, forward and backward': {
        'near pixels': chamfer_to_grid,
        'all pairs': all_pairs_chamfer,
    },
}


def methods_of(function: str, size: int, device: str) -> list[str]:
    """What can be measured at this size."""
    names = list(METHODS[function]) if size <= ALL_PAIRS_LIMIT[device] else ['near pixels']
    kernels = device == 'cuda' and size**4 <= _device.TRITON_PAIRS and find_spec('triton')
    return [*names, 'Triton'] if kernels else names


def inputs_of(function: str, size: int, device: str, batch: int = 1) -> list[Any]:
    """Three colours, source and target, leaves that require gradients; what ``function`` takes."""
    torch.manual_seed(0)
    maps = (smooth_map(size, seed).repeat(batch, 1, 1, 1) for seed in (1, 2))
    inputs = [x.to(device).requires_grad_() for x in (torch.rand(batch, 3, size, size), *maps)]
    if function.startswith('chamfer'):
        return inputs[1:2]
    return [*inputs, TEMPERATURE_TIMES_SIZE / size] if function.startswith('soft') else inputs


def cost_of(function: str, method: str, size: int, device: str, batch: int = 1) -> Cost:
    """The cost of a batch of pairs of maps."""
    torch.set_num_threads(1)
    inputs = inputs_of(function, size, device, batch)
    call = METHODS[function]['near pixels' if method == 'Triton' else method]

    @patch.object(_device, 'USE_TRITON', method == 'Triton')
    def step() -> None:
        out = call(*inputs)
        if 'backward' in function:
            torch.autograd.grad(out.square().sum(), [x for x in inputs if torch.is_tensor(x)])

    if device == 'cuda':
        step()  # start-up of the device
    return measure(step, device, 5 if method == 'near pixels' or device == 'cuda' else 1)


def print_costs(sizes: Sequence[int], device: str, batch: int = 1) -> None:
    """Print a table for each function; on a CPU, each row is measured in a process of its own."""
    for function in METHODS:
        print(f'\n{function}\n{"size":>6} {"method":18}{"s":>9}{"MiB":>9}')
        for size in sizes:
            for method in methods_of(function, size, device):
                measured = partial(cost_of, function, method, size, device, batch)
                print(f'{size:6} {method:18}', end='', flush=True)
                try:
                    if device == 'cuda':
                        cost = measured()
                    else:
                        with ProcessPoolExecutor(1, get_context('spawn')) as new:
                            cost = new.submit(measured).result()
                    print(f'{cost.seconds:9.4f}{cost.peak:9.1f}', flush=True)
                except torch.cuda.OutOfMemoryError:
                    print(' out of memory', flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--sizes', type=int, nargs='+', default=[32, 64, 128, 256])
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu')
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(machine(args.device))
    print_costs(args.sizes, args.device)


if __name__ == '__main__':
    main()
