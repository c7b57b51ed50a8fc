"""Compare a GPU's results with the CPU's in float64; time training and geometry on it.

Takes less than eight minutes. Prints a Markdown table for each section, for docs/benchmarks.md.
With --device cpu, it does the same on tiny sizes, to test itself.
"""

from __future__ import annotations

import argparse
import copy
import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from benchmark_geometry import METHODS, cost_of, inputs_of, methods_of
from benchmark_training import Bench, matmul_peak
from measuring import LAZY, FlopCount, build_training, machine, measure
from torch import Tensor, nn

from mmcoordgan.cli.launch import explained_errors
from mmcoordgan.geometry import _near, chamfer_to_grid, hard_transfer, soft_transfer
from mmcoordgan.models.networks.warp import WarpNetwork

Row = dict[str, Any]
TRAININGS = [
    *((f'celeba_{size}', batch, True) for size in (128, 256, 512) for batch in (2, 8)),
    *(('celeba_128', 16, True), ('celeba_128', 2, False), ('celeba_128', 8, False)),
]
"""Config, batch size, whether in bfloat16."""
SECONDS = 7 * 60
"""Trainings that would begin later are left out."""
TOLERANCE = 1e-3
"""Largest error of float32, relative to the largest value."""
exact_convolutions = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
"""Without TensorFloat-32. Gradients jump where leaky ReLUs bend: rounded products would change
them by several percent there."""


def print_table(section: str, rows: list[Row]) -> None:
    """Print rows as a Markdown table, with the columns that any of them has."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = [names, ['---'] * len(names), *([row.get(n, '') for n in names] for row in rows)]
    print(f'\n### {section}\n')
    for cells in table:
        texts = [f'{cell:.4g}' if isinstance(cell, float) else str(cell) for cell in cells]
        print(f'| {" | ".join(texts)} |', flush=True)


def difference(found: Tensor, expected: Tensor) -> float:
    """Largest difference, relative to the largest expected value."""
    expected = expected.detach().double()
    error = (found.detach().cpu().double() - expected).abs().max()
    return float(error / expected.abs().max().clamp(min=1e-12))


@exact_convolutions
def check_results(device: str) -> list[Row]:
    """Values and gradients of geometry and networks, beside those of the CPU in float64."""
    rows: list[Row] = []

    def compare(what: str, network: nn.Module, call: Callable[..., Tensor], *inputs: Tensor):
        results = []
        for where in (dict(device=device), dict(device='cpu', dtype=torch.float64)):
            placed = copy.deepcopy(network).to(**where)
            given = [x.detach().to(**where).requires_grad_() for x in inputs]
            out = call(placed, *given)
            results.append([out, *torch.autograd.grad(out.square().sum(), given)])
        error = max(map(difference, *results))
        rows.append(dict(what=what, error=error, passes=error < TOLERANCE))

    size = 64 if device == 'cuda' else 16
    maps = inputs_of('hard_transfer', size, 'cpu', batch=4)
    softly, nothing = (lambda _, *x: soft_transfer(*x, 1.28 / size)), nn.Identity()
    for method in methods_of('hard_transfer', 256, device):
        with patch.object(_near, 'USE_TRITON', method == 'Triton'):
            compare(f'soft transfer, {method}', nothing, softly, *maps)
            compare(f'chamfer, {method}', nothing, lambda _, x: chamfer_to_grid(x), maps[1])
    same, exact = hard_transfer(*(x.to(device) for x in maps)).cpu(), hard_transfer(*maps)
    wrong = float((same != exact).any(1).float().mean())
    rows.append(dict(what='hard transfer', error=wrong, passes=wrong < 1e-3))
    model = build_training('coordgan/toyfaces_32.py', 'cpu')[0].eval()
    generator, (z, t) = model.generator, model.sample_codes(4)
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    compare('maps', generator, lambda g, z: g.warp(g.map_structure(z)), z)
    compare('images', generator, lambda g, z, t: g(z, t), z, t)
    compare('logits', model.discriminator, lambda d, x: d(x), images)
    compare('perceptual', model.perceptual, lambda p, x: p.features(x)[0], images)
    # What TensorFloat-32 does to a convolution, and not to coordinates.
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=True):
        warp, code = WarpNetwork(structure_width=512).eval(), torch.randn(2, 512)
        compare('published warp network', warp, lambda w, z: w(z, 2 * size), code)
        convolution, image = nn.Conv2d(512, 512, 1), torch.rand(1, 512, 64, 64)
        compare('a convolution in TensorFloat-32', convolution, lambda c, x: c(x), image)
    return rows


@exact_convolutions
def check_steps(device: str) -> list[Row]:
    """Losses and changed weights of one training step of each stage, beside the CPU in float32."""
    rows = []
    for name in ('toyfaces_32', 'toyfaces_32_encoder'):
        expected = one_step(name, 'cpu', amp=False)
        for amp in (False, True):
            loss, weights = map(difference, one_step(name, device, amp), expected)
            passes = loss < (0.05 if amp else TOLERANCE)
            rows.append(dict(step=name, bf16=amp, losses=loss, weights=weights, passes=passes))
    return rows


def one_step(name: str, device: str, amp: bool) -> tuple[Tensor, Tensor]:
    """Losses, and weights after the step, of a config's model; random numbers of the CPU."""
    torch.manual_seed(0)
    model, optimizers = build_training(f'coordgan/{name}.py', device, amp)
    source = torch.Generator().manual_seed(1)
    codes = [torch.randn(x.shape, generator=source) for x in model.sample_codes(4)]
    torch.manual_seed(0)  # drawing codes has advanced the device's own generator
    model.sample_codes = lambda batch: [x.to(device) for x in codes]
    patches = getattr(model, 'patch_discriminator', None)
    if patches is not None:
        patches.sample_rectangles = lambda n, device, draw=patches.sample_rectangles: draw(n, None)
    images = torch.randint(0, 256, (4, 3, 32, 32), generator=source, dtype=torch.uint8)
    losses = model.train_step(dict(inputs=list(images)), optimizers)
    values = torch.stack([v.detach().float().cpu() for v in losses.values()])
    trained = [p.detach().float().cpu().flatten() for p in model.parameters() if p.requires_grad]
    return values, torch.cat(trained)


@contextmanager
def unless_out_of_memory(row: Row) -> Iterator[None]:
    """Note it in the row where the GPU's memory is too small."""
    try:
        yield
    except torch.cuda.OutOfMemoryError:
        row['note'] = 'out of memory'
    gc.collect()
    torch.cuda.empty_cache()


def time_geometry(function: str, device: str) -> list[Row]:
    """The search for near pixels beside all pairs."""
    rows: list[Row] = []
    batch, sizes = (8, (64, 128, 256)) if device == 'cuda' else (1, (16,))
    for size in sizes:
        for method in methods_of(function, size, device):
            rows.append(dict(size=size, batch=batch, method=method))
            with unless_out_of_memory(rows[-1]):
                cost = cost_of(function, method, size, device, batch)
                rows[-1].update(ms=1e3 * cost.seconds, MiB=cost.peak)
    return rows


def time_training(device: str, end: float) -> list[Row]:
    """Iterations with and without R1, and their fraction of a plain matrix product."""
    peak = matmul_peak(device)
    rows: list[Row] = [dict(config=f'a matrix product: {peak / 1e12:.4g} TFLOP/s')]
    for name, batch, amp in TRAININGS if device == 'cuda' else [('toyfaces_32', 2, False)]:
        rows.append(dict(config=name, batch=batch, bf16=amp))
        if time.perf_counter() > end:
            rows[-1]['note'] = 'left out: time is over'
            continue
        with unless_out_of_memory(rows[-1]):
            bench = Bench(f'coordgan/{name}.py', device, batch, amp)
            for kind, iteration in (('', LAZY + 1), (' with R1', LAZY)):
                with FlopCount() as count:
                    bench.iterate(iteration)
                cost = measure(partial(bench.iterate, iteration), device, 5)
                rows[-1][f'ms{kind}'] = 1e3 * cost.seconds
                rows[-1][f'images/s{kind}'] = batch / cost.seconds
                rows[-1][f'of peak{kind}'] = count.total / cost.seconds / peak
                rows[-1][f'MiB{kind}'] = cost.peak
    return rows


@explained_errors('gpu_report.py')
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--device', choices=['cuda', 'cpu'], default='cuda')
    device, start = parser.parse_args().device, time.perf_counter()
    print(f'Measured on {machine(device)}.')
    print_table('results', check_results(device))
    print_table('steps', check_steps(device))
    for function in METHODS:
        print_table(function, time_geometry(function, device))
    print_table('training', time_training(device, start + SECONDS))
    print(f'\nIn {time.perf_counter() - start:.0f} s.')


if __name__ == '__main__':
    main()
