"""What a training, test or inference step would do on a GPU, found without one.

``python tools/analysis_tools/simulate_gpu.py CONFIG --batch-size 8 --amp`` runs the steps of a
config on fake CUDA tensors: no kernel runs, but every operation shows its device, dtype and size.
Operations on mixed devices raise. Needs the CPU build of PyTorch and a C++ compiler.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import fake_cuda  # noqa: F401  before torch
import torch
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapperDict
from mmengine.registry import init_default_scope
from simulation import Simulator, recorded_counts
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from mmcoordgan.cli.config import load_config
from mmcoordgan.cli.launch import explained_errors
from mmcoordgan.geometry import _near, hard_transfer, soft_transfer
from mmcoordgan.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS

LAZY = 160_000
"""An iteration in which every term of the published schedule is active, the lazy ones included."""
NETWORKS = ('generator', 'discriminator', 'patch_discriminator', 'perceptual', 'encoder')
CALLS = ('forward', 'warp', 'map_structure', 'map_texture', 'synthesize', 'features', 'crop')
CARDS = (12, 24, 40, 80)
CONTEXT = 1.0
"""GiB that CUDA and its libraries hold."""
FRAGMENTS = 1.1
"""The allocator holds about so much more than it has given out."""
GIB = 2**30


class Simulation:
    """A model on the fake GPU.

    Args:
        config: Path of a config of either stage.
        amp: Train in bfloat16.
        near: Counts of near blocks; None: those of maps of the generator's size.
    """

    fake = FakeTensorMode()  # one for all: some constants are kept

    def __init__(self, config: str, amp: bool, near: dict[str, list[int]] | None = None):
        cfg = load_config(config, None)
        init_default_scope('mmcoordgan')
        for key in ('pretrained_generator', 'stage1_checkpoint'):
            cfg.model.pop(key, None)
        if 'LPIPS' in str(cfg.model.get('perceptual', {}).get('type')):
            cfg.model.perceptual.vgg_weights = None
        if cfg.model.get('refinement'):
            cfg.model.refinement.steps = 1  # each step does the same
        base = cfg.model.generator.get('base_resolution', 128)
        self.simulator = Simulator(near or recorded_counts(base))
        self.stage = 1 if cfg.model.type == 'CoordGAN' else 2
        with self.fake:
            self.model: Any = MODELS.build(cfg.model)
            with self.simulator:
                self.model.to('cuda').train()
            optimizers = dict(cfg.optim_wrapper)
            constructor = optimizers.pop('constructor')
            if amp:
                for options in optimizers.values():
                    options.update(type='MixedPrecisionOptimWrapper', dtype='bfloat16')
            build = dict(type=constructor, optim_wrapper_cfg=optimizers)
            self.optimizers: Any = OPTIM_WRAPPER_CONSTRUCTORS.build(build)(self.model)
        self._name_owners()
        self.simulator.owner = 'other'

    def steps(self, batch: int) -> dict[str, Callable[[], Any]]:
        """Names and calls, all with this batch."""
        training = {
            'training': lambda: self._train(batch, LAZY + 1),
            'testing': lambda: self._test(batch),
            'inference': lambda: self._infer(batch),
        }
        if self.stage == 2:
            return training
        return {'training with R1': lambda: self._train(batch, LAZY), **training}

    def run(self, batch: int, *names: str) -> dict[str, dict[str, Any]]:
        """Simulate each step, or those with these names, twice; what the second one does."""
        tolist = FakeTensor.tolist
        walk = _near.Walk.__init__

        def init(walked: Any, *args: Any, **kwargs: Any) -> None:
            walk(walked, *args, **kwargs)
            self.simulator.search = 'transfer' if walked.margin else 'chamfer'

        FakeTensor.tolist = lambda tensor: self.simulator.tolist(tensor)  # type: ignore[assignment]
        _near.Walk.__init__ = init  # type: ignore[method-assign]
        if _near.USE_TRITON:
            import_module('mmcoordgan.geometry._triton').launch = self.simulator.launch
        try:
            with self.fake, self.simulator, warnings.catch_warnings():
                warnings.simplefilter('ignore')
                steps = self.steps(batch)
                return {name: self._measure(steps[name]) for name in names or steps}
        finally:
            FakeTensor.tolist = tolist  # type: ignore[method-assign]
            _near.Walk.__init__ = walk  # type: ignore[method-assign]

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
            'peak_gib': found.most / GIB,
            'held_gib': {name: size / GIB for name, size in found.held_at_most.items() if size},
        }

    def _train(self, batch: int, iteration: int) -> None:
        self.simulator.iteration = iteration
        self.model.train().train_step(self._images(batch), self.optimizers)

    def _test(self, batch: int) -> None:
        data = self._images(batch) if self.stage == 2 else {'inputs': {'num_batches': batch}}
        self.model.eval().test_step(data)

    @torch.no_grad()
    def _infer(self, batch: int) -> None:
        """Codes, maps, images, and labels carried from image to image."""
        model = self.model.eval()
        if self.stage == 2:
            images = model.data_preprocessor(self._images(batch))['inputs']
            encoding = model.encode(images)
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

    def _name_owners(self) -> None:
        """Let what networks and optimizers allocate be counted under their names."""

        def owned(call: Callable, owner: str) -> Callable:
            def wrapped(*args: Any, **kwargs: Any) -> Any:
                with self.simulator.of(owner):
                    return call(*args, **kwargs)

            return wrapped

        for name in NETWORKS:
            network = getattr(self.model, name, None)
            for call in CALLS if network is not None else ():
                if hasattr(network, call):
                    setattr(network, call, owned(getattr(network, call), name))
        several = isinstance(self.optimizers, OptimWrapperDict)
        for wrapper in self.optimizers.values() if several else [self.optimizers]:
            wrapper.optimizer.step = owned(wrapper.optimizer.step, 'optimizers')


def largest_batches(simulation: Simulation, batch: int, peak: float) -> dict[int, int]:
    """The largest even batch whose training fits each card, from the peaks of two batches."""
    names = [name for name in simulation.steps(batch) if name.startswith('training')]
    more = max(row['peak_gib'] for row in simulation.run(2 * batch, *names).values())
    per_image = (more - peak) / batch
    fixed = peak - batch * per_image
    room = {card: (card - CONTEXT) / FRAGMENTS - fixed for card in CARDS}
    return {card: max(0, int(left / per_image) // 2 * 2) for card, left in room.items()}


def parse_args() -> argparse.Namespace:
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
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE, too')
    return parser.parse_args()


def run(args: argparse.Namespace) -> None:
    MMLogger.get_current_instance().setLevel('WARNING')
    torch.use_deterministic_algorithms(args.deterministic)
    simulation = Simulation(args.config, args.amp)
    _near.USE_TRITON = args.triton
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
        held = sorted(row['held_gib'].items(), key=lambda item: -item[1])
        print('  GiB at the peak: ' + ', '.join(f'{owner} {size:.2f}' for owner, size in held))
    peak = max(row['peak_gib'] for name, row in rows.items() if name.startswith('training'))
    fits = largest_batches(simulation, args.batch_size, peak)
    print('\nlargest batch that trains on a card: ', end='')
    print(', '.join(f'{card} GB: {batch or "none"}' for card, batch in fits.items()))
    if args.json:
        Path(args.json).write_text(json.dumps({'steps': rows, 'fits': fits}, indent=1))


def main() -> None:
    args = parse_args()
    with explained_errors('simulate_gpu.py'):
        run(args)


if __name__ == '__main__':
    main()
