"""Time and memory of one training iteration of stage 1, and of its parts.

Takes random images and, where the config wants LPIPS, untrained VGG16 weights, which cost the same.
Prints seconds (on the CPU, summed over threads), peak memory, and the fraction of what a plain
matrix product reaches on this machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
from benchmark_geometry import smooth_map
from measuring import LAZY, FlopCount, build_training, machine, measure
from torch import Tensor

from mmcoordgan.geometry import chamfer_to_grid
from mmcoordgan.models.losses import Fakes, r1_penalty, warp_loss

WARM_UP, REPEAT = 3, 10


def parts_of(model: Any, optimizers: Any, batch: int, amp: bool) -> dict[str, Callable[[], Any]]:
    """The parts of an iteration by name, and whole iterations, as calls without arguments."""
    size, side = model.generator.image_size, model.generator.base_resolution
    device = next(model.parameters()).device.type
    real = torch.rand(batch, 3, size, size, device=device) * 2 - 1
    images = torch.rand(batch, 3, side, side, device=device) * 2 - 1
    maps = torch.cat([smooth_map(side, seed) for seed in range(batch)]).to(device)
    autocast = torch.autocast(device, torch.bfloat16, enabled=amp)

    def render(grad: bool) -> Tensor:
        latents = model.sample_codes(batch)
        with autocast:
            return Fakes(model.generator, *latents, grad=grad).images

    def train(loss: Callable[[], Tensor]) -> None:
        with autocast:
            value = loss()
        drop(value)

    def drop(loss: Tensor) -> None:
        loss.backward()
        model.zero_grad(set_to_none=True)

    def regularize() -> None:
        given = leaf(real)
        drop(r1_penalty(model.discriminator(given), [given]))

    def iterate(iteration: int) -> None:
        model.iteration.fill_(iteration)
        model.train_step(dict(inputs=[((x + 1) * 127.5).byte() for x in real]), optimizers)

    return {
        'generator, forward': lambda: render(grad=False),
        'generator, both': lambda: train(lambda: render(grad=True).sum()),
        'warp loss, both': lambda: train(
            lambda: warp_loss(model.perceptual, leaf(images), leaf(maps))
        ),
        'chamfer, both': lambda: train(lambda: chamfer_to_grid(leaf(maps)).mean()),
        'discriminator, both': lambda: train(lambda: model.discriminator(real).sum()),
        'R1': regularize,
        'iteration': lambda: iterate(LAZY + 1),
        'iteration with R1': lambda: iterate(LAZY),
    }


def leaf(values: Tensor) -> Tensor:
    """A copy that requires a gradient."""
    return values.clone().requires_grad_()


def matmul_peak(device: str) -> float:
    """FLOP per second of a large matrix product, in bfloat16 on a GPU, float32 on a CPU."""
    size, dtype = (8192, torch.bfloat16) if device == 'cuda' else (1024, torch.float32)
    a = torch.randn(size, size, device=device, dtype=dtype)
    peak = 2 * size**3 / measure(lambda: a @ a, device, REPEAT).seconds
    kind = 'bfloat16' if device == 'cuda' else 'float32, one CPU-second'
    print(f'matrix product ({kind}): {peak / 1e12:.3f} TFLOP/s', flush=True)
    return peak


def print_parts(
    parts: dict[str, Callable], device: str, batch: int, peak: float, counted: dict[str, int]
) -> None:
    """Print a row for every part; count the FLOP that ``counted`` lacks.

    Nothing can be compiled while operations are counted. A CPU is slow: it does both at once.
    """
    print(f'{"part":28}{"s":>9}{"MiB":>9}{"TFLOP":>9}{"of peak":>9}{"images/s":>10}')
    on_gpu = device == 'cuda'
    for name, call in parts.items():
        new = name not in counted
        if new:
            with FlopCount() as counter:
                cost = measure(call, device)
            counted[name] = counter.total
        if on_gpu or not new:
            for _ in range(WARM_UP):
                call()
            cost = measure(call, device, REPEAT if on_gpu else 1)
        fraction = counted[name] / cost.seconds / peak
        row = f'{name:28}{cost.seconds:9.3f}{cost.peak:9.0f}{counted[name] / 1e12:9.3f}'
        print(f'{row}{fraction:9.1%}{batch / cost.seconds:10.3f}', flush=True)


def time_training(
    config: str, device: str, batch: int, amp: bool, whole: bool = False, compiled: bool = False
) -> None:
    """Time an iteration and its parts, or ``whole`` iterations alone; then as ``compiled`` ones."""
    print(f'\n{config}, batch {batch}, {"bfloat16" if amp else "float32"}')
    model, optimizers = build_training(config, device, amp)
    parts = parts_of(model, optimizers, batch, amp)
    if whole:
        parts = {name: call for name, call in parts.items() if name.startswith('iteration')}
    elif device == 'cpu':
        del parts['iteration']  # takes long; it is the one with R1 less the part R1
    peak, counted = matmul_peak(device), {}
    print_parts(parts, device, batch, peak, counted)
    if compiled:
        # R1 differentiates the discriminator twice, which a compiled one does not allow.
        print('\nwith torch.compile')
        torch._dynamo.config.suppress_errors = True
        model.generator.synthesize = torch.compile(model.generator.synthesize)
        model.perceptual.features = torch.compile(model.perceptual.features)
        print_parts(parts, device, batch, peak, counted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('config', nargs='?', default='coordgan/celeba_128.py')
    add('--device', choices=['cpu', 'cuda'], default='cpu')
    add('--batch-size', type=int, default=2, help='even [2]')
    add('--threads', type=int, default=2, help='threads on the CPU [2]')
    add('--amp', action='store_true', help='autocast to bfloat16')
    add('--compile', action='store_true', help='time it again with torch.compile')
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    print(machine(args.device))
    time_training(args.config, args.device, args.batch_size, args.amp, compiled=args.compile)


if __name__ == '__main__':
    main()
