"""What a training, test or inference step would do on a GPU, found without one.

``python tools/analysis_tools/simulate_gpu.py CONFIG --batch-size 8 --amp`` runs the steps of a
config on fake CUDA tensors: no kernel runs, but every operation shows its device, dtype and size.
Operations on mixed devices raise. Needs the CPU build of PyTorch and a C++ compiler.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import fake_cuda  # noqa: F401  before torch
import torch
from measuring import LAZY, build_training
from simulation import Simulator
from torch._subclasses.fake_tensor import FakeTensorMode

from mmcoordgan.cli.launch import explained_errors
from mmcoordgan.geometry import _near, hard_transfer, soft_transfer

CARDS = (12, 24, 40, 80)
CONTEXT = 1.0
"""GiB that CUDA and its libraries hold."""
FRAGMENTS = 1.1
"""The allocator holds about so much more than it has given out."""


class Simulation:
    """A model on the fake GPU; see :func:`measuring.build_training`."""

    fake = FakeTensorMode()  # one for all: some constants are kept

    def __init__(self, config: str, amp: bool):
        self.simulator = Simulator()
        with self.fake, self.simulator:
            self.model, self.optimizers = build_training(config, 'cuda', amp)

    def steps(self, batch: int) -> dict[str, Callable[[], Any]]:
        """Names and calls, all with this batch."""
        found = {
            'training': lambda: self._train(batch, LAZY + 1),
            'testing': lambda: self._test(batch),
            'inference': lambda: self._infer(batch),
        }
        if hasattr(self.model, 'discriminator'):
            return {'training with R1': lambda: self._train(batch, LAZY), **found}
        return found

    def run(self, batch: int, *names: str) -> dict[str, dict[str, Any]]:
        """Simulate each step, or those with these names, twice; what the second one does."""
        if _near.USE_TRITON:
            import_module('mmcoordgan.geometry._triton').launch = self.simulator.launch
        with self.fake, self.simulator, self.simulator.search(), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            steps = self.steps(batch)
            return {name: self._measure(steps[name]) for name in names or steps}

    def _measure(self, call: Callable[[], Any]) -> dict[str, Any]:
        with torch.autograd.set_multithreading_enabled(False):
            call()
            self.simulator.reset()
            call()
        found = self.simulator
        return {
            'kernels': sum(found.kernels.values()),
            'syncs': dict(found.syncs),
            'refused': dict(found.refused),
            'tflop': found.flop / 1e12,
            'gigabytes': found.bytes / 1e9,
            'peak_gib': found.most / 2**30,
        }

    def _train(self, batch: int, iteration: int) -> None:
        self.simulator.iteration = iteration
        self.model.train().train_step(self._images(batch), self.optimizers)

    def _test(self, batch: int) -> None:
        encodes = hasattr(self.model, 'encoder')
        data = self._images(batch) if encodes else {'inputs': {'num_batches': batch}}
        self.model.eval().test_step(data)

    @torch.no_grad()
    def _infer(self, batch: int) -> None:
        """Codes, maps, images, and labels carried from image to image."""
        model = self.model.eval()
        if hasattr(model, 'encoder'):
            encoding = model.encode(model.data_preprocessor(self._images(batch))['inputs'])
            model.render(encoding)
            coords = encoding.coords
        else:
            coords = model.sample(*model.sample_codes(batch))[1]
        labels = coords.new_zeros(batch, 7, *coords.shape[2:])
        soft_transfer(labels, coords, coords.flip(0), 1.28 / coords.shape[-1])
        hard_transfer(labels, coords, coords.flip(0))

    def _images(self, batch: int) -> dict[str, list]:
        size = self.model.generator.image_size
        return {'inputs': [torch.zeros(3, size, size, dtype=torch.uint8) for _ in range(batch)]}


def largest_batches(simulation: Simulation, batch: int, peak: float) -> dict[int, int]:
    """The largest even batch whose training fits each card, from the peaks of two batches."""
    names = [name for name in simulation.steps(batch) if name.startswith('training')]
    more = max(row['peak_gib'] for row in simulation.run(2 * batch, *names).values())
    per_image = (more - peak) / batch
    fixed = peak - batch * per_image
    room = {card: (card - CONTEXT) / FRAGMENTS - fixed for card in CARDS}
    return {card: max(0, int(left / per_image) // 2 * 2) for card, left in room.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description='Simulates training, testing and inference of a config on a GPU that is not '
        'there: kernels, synchronizations with their lines, FLOP, bytes moved, peak memory, and '
        'which batches fit cards of 12 to 80 GB. All figures are simulated, none is measured.'
    )
    parser.add_argument('config')
    parser.add_argument('--batch-size', type=int, default=2, help='even [2]')
    parser.add_argument('--amp', action='store_true', help='autocast to bfloat16')
    text = 'as randomness.deterministic=True; prints what PyTorch refuses on a GPU'
    parser.add_argument('--deterministic', action='store_true', help=text)
    text = "all pairs in Triton, which must be installed, in place of the search's kernels"
    parser.add_argument('--triton', action='store_true', help=text)
    args = parser.parse_args()
    torch.use_deterministic_algorithms(args.deterministic)
    _near.USE_TRITON = args.triton
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
    peak = max(row['peak_gib'] for name, row in rows.items() if name.startswith('training'))
    fits = largest_batches(simulation, args.batch_size, peak)
    print('\nlargest batch that trains on a card: ', end='')
    print(', '.join(f'{card} GB: {batch or "none"}' for card, batch in fits.items()))


if __name__ == '__main__':
    with explained_errors('simulate_gpu.py'):
        main()
