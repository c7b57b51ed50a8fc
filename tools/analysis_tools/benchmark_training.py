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


class Bench:
    """A model in training, and the parts of its iteration as calls without arguments."""

    def __init__(self, config: str, device: str, batch: int, amp: bool):
        torch.manual_seed(0)
        self.device, self.batch = device, batch
        self.model, self.optimizers = build_training(config, device, amp)
        self.autocast = torch.autocast(device, torch.bfloat16, enabled=amp)
        size, coords = self.model.generator.image_size, self.model.generator.base_resolution
        self.real = torch.rand(batch, 3, size, size, device=device) * 2 - 1
        self.images = torch.rand(batch, 3, coords, coords, device=device) * 2 - 1
        self.maps = torch.cat([smooth_map(coords, seed) for seed in range(batch)]).to(device)

    def parts(self) -> dict[str, Callable[[], Any]]:
        """Names and calls."""
        perceptual, discriminator = self.model.perceptual, self.model.discriminator
        return {
            'generator, forward': lambda: self.render(grad=False),
            'generator, both': lambda: self.train(lambda: self.render(grad=True).sum()),
            'warp loss, both': lambda: self.train(
                lambda: warp_loss(perceptual, leaf(self.images), leaf(self.maps))
            ),
            'chamfer, both': lambda: self.train(lambda: chamfer_to_grid(leaf(self.maps)).mean()),
            'discriminator, both': lambda: self.train(lambda: discriminator(self.real).sum()),
            'R1': self.regularize,
            'iteration': lambda: self.iterate(LAZY + 1),
            'iteration with R1': lambda: self.iterate(LAZY),
        }

    def render(self, grad: bool) -> Tensor:
        latents = self.model.sample_codes(self.batch)
        with self.autocast:
            return Fakes(self.model.generator, *latents, grad=grad).images

    def train(self, loss: Callable[[], Tensor]) -> None:
        with self.autocast:
            value = loss()
        self.drop(value)

    def regularize(self) -> None:
        real = leaf(self.real)
        self.drop(r1_penalty(self.model.discriminator(real), [real]))

    def drop(self, loss: Tensor) -> None:
        loss.backward()
        self.model.zero_grad(set_to_none=True)

    def iterate(self, iteration: int) -> None:
        self.model.iteration.fill_(iteration)
        images = [((x + 1) * 127.5).byte() for x in self.real]
        self.model.train_step(dict(inputs=images), self.optimizers)


def leaf(values: Tensor) -> Tensor:
    """A copy that requires a gradient."""
    return values.clone().requires_grad_()


def matmul_peak(device: str) -> float:
    """FLOP per second of a large matrix product, in bfloat16 on a GPU, float32 on a CPU."""
    size, dtype = (8192, torch.bfloat16) if device == 'cuda' else (1024, torch.float32)
    a = torch.randn(size, size, device=device, dtype=dtype)
    cost = measure(lambda: a @ a, device, repeat=REPEAT)
    return 2 * size**3 / cost.seconds


def print_parts(bench: Bench, peak: float, counted: dict[str, int], *names: str) -> None:
    """Print a row for every part or ``names``, and count its FLOP where ``counted`` lacks them.

    Nothing can be compiled while operations are counted.
    """
    print(f'{"part":28}{"s":>9}{"MiB":>9}{"TFLOP":>9}{"of peak":>9}{"images/s":>10}')
    on_gpu, parts = bench.device == 'cuda', bench.parts()
    for name in names or parts:
        call = parts[name]
        if not (on_gpu or names) and name == 'iteration':
            continue  # takes long; it is the one with R1 less the part R1
        again = on_gpu or name in counted
        if name not in counted:
            with FlopCount() as counter:
                cost = measure(call, bench.device)
            counted[name] = counter.total
        if again:
            for _ in range(WARM_UP):
                call()
            cost = measure(call, bench.device, REPEAT if on_gpu else 1)
        fraction = counted[name] / cost.seconds / peak
        row = f'{name:28}{cost.seconds:9.3f}{cost.peak:9.0f}{counted[name] / 1e12:9.3f}'
        print(f'{row}{fraction:9.1%}{bench.batch / cost.seconds:10.3f}', flush=True)


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
    torch.set_num_threads(args.threads)
    print(machine(args.device))
    peak = matmul_peak(args.device)
    kind = 'bfloat16' if args.device == 'cuda' else 'float32, one CPU-second'
    print(f'matrix product ({kind}): {peak / 1e12:.3f} TFLOP/s')
    precision = 'autocast to bfloat16' if args.amp else 'float32'
    print(f'{args.config}, batch {args.batch_size}, {precision}')
    bench, counted = Bench(args.config, args.device, args.batch_size, args.amp), {}
    print_parts(bench, peak, counted)
    if args.compile:
        # R1 differentiates the discriminator twice, which a compiled one does not allow.
        print('\nwith torch.compile')
        torch._dynamo.config.suppress_errors = True
        bench.model.generator.synthesize = torch.compile(bench.model.generator.synthesize)
        bench.model.perceptual.features = torch.compile(bench.model.perceptual.features)
        print_parts(bench, peak, counted)


if __name__ == '__main__':
    main()
