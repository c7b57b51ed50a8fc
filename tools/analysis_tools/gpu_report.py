"""Everything that only a GPU can tell, in one command of less than eight minutes.

Compares a GPU's results with the CPU's in float64, then times geometry and training. With --device
cpu, it does the same on tiny sizes, to test itself.
"""

from __future__ import annotations

import argparse
import copy
import gc
import time
from collections.abc import Callable
from unittest.mock import patch

import torch
from benchmark_geometry import inputs_of, methods_of, print_costs
from benchmark_training import time_training
from measuring import build_training, machine
from torch import Tensor, nn

from mmcoordgan.errors import explained_errors
from mmcoordgan.geometry import _device, chamfer_to_grid, hard_transfer, soft_transfer
from mmcoordgan.models.networks.warp import WarpNetwork

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


def judge(what: str, error: float, limit: float = TOLERANCE) -> None:
    print(f'{what:40}{error:9.1e}  {"passes" if error < limit else "FAILS"}', flush=True)


def difference(found: Tensor, expected: Tensor) -> float:
    """Largest difference, relative to the largest expected value."""
    expected = expected.detach().double()
    error = (found.detach().cpu().double() - expected).abs().max()
    return float(error / expected.abs().max().clamp(min=1e-12))


@exact_convolutions
def check_results(device: str) -> None:
    """Values and gradients of geometry and networks, beside those of the CPU in float64."""
    print('\nlargest error relative to float64')

    def compare(what: str, network: nn.Module, call: Callable[..., Tensor], *inputs: Tensor):
        results = []
        for where in (dict(device=device), dict(device='cpu', dtype=torch.float64)):
            placed = copy.deepcopy(network).to(**where)
            given = [x.detach().to(**where).requires_grad_() for x in inputs]
            out = call(placed, *given)
            results.append([out, *torch.autograd.grad(out.square().sum(), given)])
        judge(what, max(map(difference, *results)))

    size = 64 if device == 'cuda' else 16
    maps = inputs_of('hard_transfer', size, 'cpu', batch=4)
    softly, nothing = (lambda _, *x: soft_transfer(*x, 1.28 / size)), nn.Identity()
    for method in methods_of('hard_transfer', 256, device):
        with patch.object(_device, 'USE_TRITON', method == 'Triton'):
            compare(f'soft transfer, {method}', nothing, softly, *maps)
            compare(f'chamfer, {method}', nothing, lambda _, x: chamfer_to_grid(x), maps[1])
    same, exact = hard_transfer(*(x.to(device) for x in maps)).cpu(), hard_transfer(*maps)
    judge('hard transfer', float((same != exact).any(1).float().mean()))
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


@exact_convolutions
def check_steps(device: str) -> None:
    """Losses and changed weights of one training step of each stage, beside the CPU in float32."""
    print('\nlargest error of a step relative to float32')
    for name in ('toyfaces_32', 'toyfaces_32_encoder'):
        expected = one_step(name, 'cpu', amp=False)
        for amp in (False, True):
            loss, weights = map(difference, one_step(name, device, amp), expected)
            kind = f'{name}, {"bfloat16" if amp else "float32"}'
            judge(f'losses of {kind}', loss, 0.05 if amp else TOLERANCE)
            judge(f'weights of {kind}', weights, 0.05)


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


@explained_errors('gpu_report.py')
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--device', choices=['cuda', 'cpu'], default='cuda')
    device, start = parser.parse_args().device, time.perf_counter()
    print(machine(device))
    check_results(device)
    check_steps(device)
    on_gpu = device == 'cuda'
    print_costs((64, 128, 256) if on_gpu else (16,), device, batch=8 if on_gpu else 1)
    for name, batch, amp in TRAININGS if on_gpu else [('toyfaces_32', 2, False)]:
        if time.perf_counter() > start + SECONDS:
            print(f'\n{name}, batch {batch}, is left out: time is over')
            continue
        try:
            time_training(f'coordgan/{name}.py', device, batch, amp, whole=True)
        except torch.cuda.OutOfMemoryError:
            print('out of memory')
        gc.collect()
        torch.cuda.empty_cache()
    print(f'\n{time.perf_counter() - start:.0f} s in all')


if __name__ == '__main__':
    main()
