"""Everything that only a GPU can tell, in one command of less than eight minutes.

``python tools/analysis_tools/gpu_report.py --out gpu_report`` compares a GPU's results with the
CPU's, looks at TensorFloat-32, and times training and geometry. It writes ``report.json`` and
``report.md``, a table for ``docs/benchmarks.md``. With ``--device cpu`` it does the same on tiny
sizes, to test itself.
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from benchmark_geometry import smooth_map
from benchmark_training import LAST_START, Bench, FlopCount, matmul_peak
from measuring import machine, measure
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from torch import Tensor

from mmcoordgan.cli.config import load_config
from mmcoordgan.cli.launch import explained_errors
from mmcoordgan.geometry import _near, chamfer_to_grid, hard_transfer, soft_transfer
from mmcoordgan.models.networks.warp import WarpNetwork
from mmcoordgan.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS

ROOT = Path(__file__).parents[2]
TRAININGS = [
    *((f'celeba_{size}', batch, True) for size in (128, 256, 512) for batch in (2, 8)),
    *(('celeba_128', 16, True), ('celeba_128', 2, False), ('celeba_128', 8, False)),
]
"""Config, batch size, whether in bfloat16."""
SECONDS = 7 * 60
"""Rows that would begin later are left out."""
TOLERANCE = 1e-3
"""Largest difference from the CPU, relative to the largest value, of float32 with TensorFloat-32
in the convolutions."""


class Report:
    """Rows by section, written after each.

    Args:
        folder: Where to.
        device: 'cuda' or 'cpu'.
    """

    def __init__(self, folder: Path, device: str):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.start = folder, time.perf_counter()
        self.content: dict[str, Any] = {'machine': machine(device), 'sections': {}}

    def add(self, section: str, **row: Any) -> None:
        row = {k: float(f'{v:.4g}') if isinstance(v, float) else v for k, v in row.items()}
        self.content['sections'].setdefault(section, []).append(row)
        self.content['seconds'] = round(time.perf_counter() - self.start)
        print(section, row, flush=True)
        (self.folder / 'report.json').write_text(json.dumps(self.content, indent=1))
        (self.folder / 'report.md').write_text(self.markdown())

    def markdown(self) -> str:
        parts = [f'Measured on {self.content["machine"]} in {self.content["seconds"]} s.']
        for section, rows in self.content['sections'].items():
            names = list(dict.fromkeys(name for row in rows for name in row))
            table = [names, ['---'] * len(names)]
            table += [[str(row.get(name, '')) for name in names] for row in rows]
            parts.append(f'### {section}\n')
            parts[-1] += ''.join(f'\n| {" | ".join(cells)} |' for cells in table)
        return '\n\n'.join(parts) + '\n'

    @property
    def in_time(self) -> bool:
        return time.perf_counter() - self.start < SECONDS


def difference(found: Tensor, expected: Tensor) -> float:
    """Largest difference, relative to the largest expected value."""
    expected = expected.detach().double()
    error = (found.detach().cpu().double() - expected).abs().max()
    return float(error / expected.abs().max().clamp(min=1e-12))


def smooth_maps(size: int, batch: int, device: str = 'cpu') -> Tensor:
    """Maps (batch, 2, size, size) as generators make them."""
    return torch.cat([smooth_map(size, seed) for seed in range(batch)]).to(device)


def ways(device: str) -> dict[str, Callable]:
    """Ways of the transfer: each turns a function into one that takes it."""

    def in_triton(call: Callable) -> Callable:
        def wrapped(*args: Any) -> Any:
            with patch.object(_near, 'USE_TRITON', True):
                return call(*args)

        return wrapped

    found: dict[str, Callable] = {'near pixels': lambda call: call}
    if device == 'cuda' and find_spec('triton'):
        found['Triton'] = in_triton
    return found


def check_results(report: Report, device: str) -> None:
    """The same on the device and on the CPU: networks, geometry, gradients."""

    def compare(what: str, call: Callable[..., Any], *inputs: Tensor) -> None:
        results = []
        for place in ('cpu', device):
            given = [x.to(place).requires_grad_(x.is_floating_point()) for x in inputs]
            out = call(*given)
            results.append([out, *torch.autograd.grad(out.square().sum(), given)])
        worst = max(difference(a, b) for a, b in zip(results[1], results[0]))
        report.add('results beside the CPU', what=what, error=worst, passes=worst < TOLERANCE)

    size = 64 if device == 'cuda' else 16
    coords = smooth_maps(size, 4)
    values = torch.rand(4, 3, size, size)
    for name, way in ways(device).items():
        transfer = way(lambda v, s, t: soft_transfer(v, s, t, 1.28 / size))
        compare(f'soft transfer, {name}', transfer, values, coords[:], coords.flip(0))
        compare(f'chamfer distance, {name}', way(chamfer_to_grid), coords)
    same = hard_transfer(values.to(device), coords.to(device), coords.flip(0).to(device)).cpu()
    exact = hard_transfer(values, coords, coords.flip(0))
    wrong = float((same != exact).any(1).float().mean())
    report.add('results beside the CPU', what='hard transfer', error=wrong, passes=wrong < 1e-3)
    init_default_scope('mmcoordgan')
    cfg = load_config(str(ROOT / 'configs/coordgan/toyfaces_32.py'), None)
    torch.manual_seed(0)
    model: Any = MODELS.build(cfg.model).eval()
    networks = {'cpu': model, device: copy.deepcopy(model).to(device)}

    def on(place: Tensor) -> Any:
        return networks[place.device.type]

    z, t = model.sample_codes(4)
    compare('maps', lambda z: on(z).generator.warp(on(z).generator.map_structure(z)), z)
    compare('images', lambda z, t: on(z).generator(z, t), z, t)
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    compare('logits', lambda x: on(x).discriminator(x), images)
    compare('perceptual', lambda x: on(x).perceptual.features(x)[0], images)


def check_steps(report: Report, device: str) -> None:
    """Losses and changed weights of one training step of each stage, beside the CPU in float32."""
    for name in ('toyfaces_32', 'toyfaces_32_encoder'):
        expected = _one_step(name, 'cpu', amp=False)
        for amp in (False, True):
            found = _one_step(name, device, amp)
            loss, weights = (difference(a, b) for a, b in zip(found, expected))
            row = dict(what=f'a step of {name}', bf16=amp, losses=loss, weights=weights)
            report.add('steps', **row, passes=loss < (0.05 if amp else TOLERANCE))


def _one_step(name: str, device: str, amp: bool) -> tuple[Tensor, Tensor]:
    """Losses, and weights after the step, of a config's model; random numbers of the CPU."""
    cfg = load_config(str(ROOT / f'configs/coordgan/{name}.py'), None)
    cfg.model.pop('stage1_checkpoint', None)
    torch.manual_seed(0)
    model: Any = MODELS.build(cfg.model).to(device).train()
    # Both devices take latents and crops of the CPU.
    latents = model.sample_codes(4)
    codes = [torch.randn(x.shape, generator=torch.Generator().manual_seed(1)) for x in latents]
    model.sample_codes = lambda batch: [x.to(device) for x in codes]
    patches = getattr(model, 'patch_discriminator', None)
    if patches is not None:
        patches.sample_rectangles = lambda n, device, draw=patches.sample_rectangles: draw(n, None)
    wrappers = dict(cfg.optim_wrapper)
    constructor = wrappers.pop('constructor')
    if amp:
        for wrapper in wrappers.values():
            wrapper.update(type='MixedPrecisionOptimWrapper', dtype='bfloat16')
    build = dict(type=constructor, optim_wrapper_cfg=wrappers)
    optimizers = OPTIM_WRAPPER_CONSTRUCTORS.build(build)(model)
    source = torch.Generator().manual_seed(2)
    images = torch.randint(0, 256, (4, 3, 32, 32), generator=source, dtype=torch.uint8)
    losses = model.train_step(dict(inputs=list(images)), optimizers)
    values = torch.stack([v.detach().float().cpu() for v in losses.values()])
    trained = [p.detach().float().cpu().flatten() for p in model.parameters() if p.requires_grad]
    return values, torch.cat(trained)


def check_tf32(report: Report, device: str) -> None:
    """The published warp network beside float64: with its own precision, and as convolutions."""
    torch.manual_seed(0)
    warp = WarpNetwork(structure_width=512).eval()
    code, size = torch.randn(2, 512), 128 if device == 'cuda' else 16
    exact = copy.deepcopy(warp).double()
    with torch.no_grad():
        expected = exact(code.double(), size)
        found = warp.to(device)(code.to(device), size)
        report.add('TensorFloat-32', what='warp network', error=difference(found, expected))
        x = torch.rand(1, 512, size, size)
        rounded = F.conv2d(x.to(device), warp.second.weight, warp.second.bias)
        plain = F.conv2d(x.double(), exact.second.weight, exact.second.bias)
        report.add(
            'TensorFloat-32', what='the same as a convolution', error=difference(rounded, plain)
        )


def time_geometry(report: Report, device: str) -> None:
    """The near search beside all pairs, forward and backward."""

    def all_pairs(values: Tensor, source: Tensor, target: Tensor, temperature: float) -> Tensor:
        outs = []
        for v, s, t in zip(values.flatten(2), source.flatten(2), target.flatten(2)):
            for part in t.split(2048, dim=1):
                distance = (part[:, :, None] - s[:, None]).square().sum(0).clamp(min=1e-30).sqrt()
                outs.append(v @ (-distance / temperature).softmax(1).t())
        return torch.cat(outs, dim=1)

    batch, sizes = (8, (64, 128, 256)) if device == 'cuda' else (1, (16,))
    for size in sizes:
        coords = smooth_maps(size, batch, device)
        values = torch.rand(batch, 3, size, size, device=device)
        methods = {name: way(soft_transfer) for name, way in ways(device).items()}
        for method, call in {**methods, 'all pairs': all_pairs}.items():
            if size > 128 and method == 'all pairs':
                continue
            given = [x.clone().requires_grad_() for x in (values, coords, coords.flip(0))]

            def both(call: Any = call, given: Any = given, size: int = size) -> None:
                call(*given, 1.28 / size).sum().backward()

            both()
            cost = measure(both, device, 3)
            row = dict(size=size, batch=batch, ms=1e3 * cost.seconds, mib=cost.peak)
            report.add('soft transfer, both passes', method=method, **row)


def time_training(report: Report, device: str) -> None:
    """Iterations with and without R1, and their fraction of a plain matrix product."""
    peak = matmul_peak(SimpleNamespace(device=device))
    report.add('matrix product', tflops=peak / 1e12)
    trainings = TRAININGS if device == 'cuda' else [('toyfaces_32', 2, False)]
    for name, batch, amp in trainings:
        row: dict[str, Any] = dict(config=name, batch=batch, bf16=amp)
        if not report.in_time:
            report.add('training', **row, note='left out: time is over')
            continue
        try:
            row.update(_train(str(ROOT / f'configs/coordgan/{name}.py'), batch, amp, device, peak))
        except torch.cuda.OutOfMemoryError:
            row['note'] = 'out of memory'
        report.add('training', **row)
        gc.collect()
        if device == 'cuda':
            torch.cuda.empty_cache()


def _train(config: str, batch: int, amp: bool, device: str, peak: float) -> dict[str, Any]:
    bench = Bench(SimpleNamespace(config=config, device=device, batch_size=batch, amp=amp))
    row: dict[str, Any] = {}
    for name, iteration in (('', LAST_START + 1), (' with R1', LAST_START)):
        with FlopCount() as count:
            bench.iterate(iteration)
        if device == 'cuda':
            bench.iterate(iteration)
        cost = measure(lambda i=iteration: bench.iterate(i), device, 5 if device == 'cuda' else 1)
        row[f'ms{name}'] = 1e3 * cost.seconds
        row[f'images/s{name}'] = batch / cost.seconds
        row[f'of peak{name}'] = count.total / cost.seconds / peak
        row[f'MiB{name}'] = cost.peak
    return row


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Compares a GPU's results with the CPU's, looks at TensorFloat-32, times "
        'training at 128, 256 and 512 and the geometry, in less than eight minutes. Writes '
        'report.json and report.md.'
    )
    parser.add_argument('--device', choices=['cuda', 'cpu'], default='cuda')
    parser.add_argument('--out', default='gpu_report', metavar='FOLDER', help='[gpu_report]')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with explained_errors('gpu_report.py'):
        MMLogger.get_current_instance().setLevel('WARNING')
        report = Report(Path(args.out), args.device)
        for section in (check_results, check_steps, check_tf32, time_geometry, time_training):
            section(report, args.device)


if __name__ == '__main__':
    main()
