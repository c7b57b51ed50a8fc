"""What a training, test or inference step of a config would do on a GPU, found without one.

Prints kernels, synchronizations with their lines, FLOP, bytes moved, peak memory, and which batches
fit cards of 12 to 80 GB. Steps run on fake CUDA tensors: no kernel runs, but every operation shows
its device, dtype and size, and mixed devices raise. All figures are simulated, none is measured.
Needs the CPU build of PyTorch and a C++ compiler.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from functools import partial
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

    def run(self, batch: int, *names: str) -> dict[str, dict[str, Any]]:
        """Simulate each step, or those with these names, twice; what the second one does."""
        steps: dict[str, Callable[[int], Any]] = {
            'training with R1': partial(self._train, LAZY),
            'training': partial(self._train, LAZY + 1),
            'testing': self._test,
            'inference': self._infer,
        }
        if not hasattr(self.model, 'discriminator'):
            del steps['training with R1']
        if _near.USE_TRITON:
            import_module('mmcoordgan.geometry._triton').launch = self.simulator.launch
        found, on_one_thread = {}, torch.autograd.set_multithreading_enabled(False)
        with self.fake, self.simulator, self.simulator.search(), on_one_thread:
            for name in names or steps:
                for _ in range(2):
                    self.simulator.reset()
                    steps[name](batch)
                found[name] = self.simulator.counts()
        return found

    def _train(self, iteration: int, batch: int) -> None:
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
