"""Accuracy, time and memory of the correspondence functions beside brute force over all pairs."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F
from measuring import Cost, in_new_process, machine, measure
from torch import Tensor

from mmcoordgan.geometry import canonical_grid, chamfer_to_grid, hard_transfer, soft_transfer
from mmcoordgan.models.networks.warp import WarpNetwork

COLORS = 3
TEMPERATURE_TIMES_SIZE = 1.28  # 0.01 at 128 x 128
CHECKED_PIXELS = 2048
ALL_PAIRS_LIMIT = 128  # at 256 x 256 a single matrix of distances has 16 GiB


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Compares soft_transfer, hard_transfer and chamfer_to_grid with brute force: '
        'values and gradients (against float64), seconds (on the CPU those of all threads '
        'together) and peak memory, forward and backward.'
    )
    parser.add_argument('--sizes', type=int, nargs='+', default=[32, 64, 128, 256])
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu')
    parser.add_argument('--threads', type=int, default=1, help='threads on the CPU [1]')
    return parser.parse_args()


# ---------------------------------------------------------------------- maps


def smooth_map(size: int, seed: int) -> Tensor:
    """The canonical grid under a smooth random displacement (1, 2, size, size)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = 0.065 * torch.randn(1, 2, 4, 4, generator=generator)
    shift = F.interpolate(coarse, (size, size), mode='bicubic', align_corners=True)
    return 0.95 * (canonical_grid(size, size) + shift)


def untrained_map(size: int, seed: int) -> Tensor:
    """What the published warp network makes before training: all pixels close together."""
    torch.manual_seed(seed)
    with torch.no_grad():
        return WarpNetwork(structure_width=512)(torch.randn(1, 512), size)


MAPS: dict[str, Callable[[int, int], Tensor]] = {
    'smooth': smooth_map,
    'coincident points': lambda size, seed: (smooth_map(size, seed) * 16).round() / 16,
    'outside the frame': lambda size, seed: 3 * smooth_map(size, seed) + 2,
    'untrained network': untrained_map,
    'constant': lambda size, seed: torch.full((1, 2, size, size), 0.25),
}

# ---------------------------------------------------------------------- brute force


def all_pairs(values: Tensor, source: Tensor, target: Tensor, temperature: float) -> Tensor:
    """Soft transfer as its definition reads."""
    difference = target.flatten(2)[:, :, :, None] - source.flatten(2)[:, :, None]
    distance = difference.norm(dim=1)
    return values.flatten(2) @ torch.softmax(-distance / temperature, dim=2).mT


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


SOFT = {
    'near pixels': lambda *inputs: soft_transfer(*inputs).flatten(2),
    'all pairs': all_pairs,
    'all pairs, cdist': all_pairs_cdist,
}

# ---------------------------------------------------------------------- measurements


def inputs_of(size: int, device: str, name: str = 'smooth') -> list[Tensor]:
    """Values, source and target, leaves that require gradients."""
    torch.manual_seed(0)
    values = torch.rand(1, COLORS, size, size)
    inputs = [values, MAPS[name](size, 1), MAPS[name](size, 2)]
    return [x.to(device).requires_grad_() for x in inputs]


def soft_cost(method: str, size: int, temperature: float, device: str, threads: int, name: str):
    """Forward and backward of one pair: cost of both, seconds of forward alone."""
    torch.set_num_threads(threads)
    inputs = inputs_of(size, device, name)
    repeat = 5 if method == 'near pixels' else 1
    if device == 'cuda':
        SOFT[method](*inputs, temperature).sum().backward()  # start-up of the device
        repeat = 5

    def step() -> None:
        torch.autograd.grad(SOFT[method](*inputs, temperature).square().sum(), inputs)

    cost = measure(step, device, repeat)
    with torch.no_grad():
        forward = measure(lambda: SOFT[method](*inputs, temperature), device, repeat)
    return cost, forward.seconds


def soft_errors(size: int, temperature: float, device: str, threads: int, name: str) -> list[float]:
    """Largest errors on some target pixels: values, then gradients over their largest value."""
    torch.set_num_threads(threads)
    inputs = inputs_of(size, device, name)
    pixels = torch.randperm(size * size, device=device)[:CHECKED_PIXELS]
    weight = torch.zeros(1, COLORS, size * size, device=device)
    weight[:, :, pixels] = torch.randn(1, COLORS, len(pixels), device=device)
    out = soft_transfer(*inputs, temperature).flatten(2)
    gradients = torch.autograd.grad((out * weight).sum(), inputs)
    values, source, target = (x.detach().double().requires_grad_() for x in inputs)
    errors, totals = [0.0], [torch.zeros_like(x) for x in (values, source, target)]
    for part in pixels.split(256):
        points = target.flatten(2)[:, :, part]
        expected = exact(values, source, points, temperature)
        errors[0] = max(errors[0], (out[:, :, part] - expected).abs().max().item())
        loss = (expected * weight[:, :, part]).sum()
        for total, g in zip(totals, torch.autograd.grad(loss, (values, source, target))):
            total += g
    for total, gradient in zip(totals, gradients):
        largest = total.abs().max().clamp(min=0.01 / temperature)
        errors.append(((total - gradient).abs().max() / largest).item())
    return errors


def exact(values: Tensor, source: Tensor, points: Tensor, temperature: float) -> Tensor:
    """Soft transfer to points (1, 2, M); the gradient of the distance at zero is zero."""
    squared = (points[:, :, :, None] - source.flatten(2)[:, :, None]).square().sum(1)
    distance = torch.where(squared > 0, squared, 1).sqrt() * (squared > 0)
    return values.flatten(2) @ torch.softmax(-distance / temperature, dim=2).mT


def search_cost(what: str, near: bool, size: int, device: str, threads: int) -> Cost:
    """Cost of ``hard`` (forward) or ``chamfer`` (forward and backward)."""
    torch.set_num_threads(threads)
    values, source, target = inputs_of(size, device)

    def step() -> None:
        if what == 'hard':
            (hard_transfer if near else all_pairs_hard)(values, source, target)
        else:
            distance = (chamfer_to_grid if near else all_pairs_chamfer)(source)
            torch.autograd.grad(distance.sum(), source)

    if device == 'cuda':
        step()
    return measure(step, device, repeat=5 if near else 1)


# ---------------------------------------------------------------------- tables


def print_soft(args: argparse.Namespace) -> None:
    print('\nsoft_transfer, one pair, 3 colors, temperature 0.01 * 128 / size')
    print(
        f'{"size":>6} {"method":18}{"forward s":>10}{"both s":>10}{"peak MiB":>10}'
        f'{"less time":>11}{"less memory":>12}'
    )
    seconds = {}
    for size in args.sizes:
        setting = (size, TEMPERATURE_TIMES_SIZE / size, args.device, args.threads, 'smooth')
        cost, forward = in_new_process(soft_cost, 'near pixels', *setting)
        seconds[size] = cost.seconds
        print(f'{size:6} {"near pixels":18}{forward:10.3f}{cost.seconds:10.3f}{cost.peak:10.1f}')
        for method in ('all pairs', 'all pairs, cdist') if size <= ALL_PAIRS_LIMIT else ():
            brute, forward = in_new_process(soft_cost, method, *setting)
            print(
                f'{"":6} {method:18}{forward:10.3f}{brute.seconds:10.3f}{brute.peak:10.1f}'
                f'{brute.seconds / cost.seconds:10.0f}x{brute.peak / max(cost.peak, 1):11.0f}x'
            )
    for small, large in zip(args.sizes, args.sizes[1:]):
        print(f'time at {large} / time at {small}: {seconds[large] / seconds[small]:.1f}')


def print_difficult(args: argparse.Namespace) -> None:
    size = min(128, max(args.sizes))
    print(
        f'\nsoft_transfer at {size}: largest error of values in 0..1, and of gradients relative '
        f'to the largest, against float64 ({CHECKED_PIXELS} target pixels)'
    )
    print(f'{"maps":26}{"both s":>9}{"values":>10}{"d values":>10}{"d source":>10}{"d target":>10}')
    temperature = TEMPERATURE_TIMES_SIZE / size
    rows = [(f'{name}', name, temperature) for name in MAPS]
    rows.append(('smooth, temperature x 100', 'smooth', 100 * temperature))
    for title, name, softness in rows:
        setting = (size, softness, args.device, args.threads, name)
        cost, _ = in_new_process(soft_cost, 'near pixels', *setting)
        errors = ''.join(f'{error:10.1e}' for error in in_new_process(soft_errors, *setting))
        print(f'{title:26}{cost.seconds:9.3f}{errors}')


def print_searches(args: argparse.Namespace) -> None:
    titles = {'hard': 'hard_transfer', 'chamfer': 'chamfer_to_grid, forward and backward'}
    for what, title in titles.items():
        print(f'\n{title}\n{"size":>6}{"s":>9}{"MiB":>9}{"all pairs s":>13}{"MiB":>9}')
        for size in args.sizes:
            cost = in_new_process(search_cost, what, True, size, args.device, args.threads)
            row = f'{size:6}{cost.seconds:9.3f}{cost.peak:9.1f}'
            if size <= ALL_PAIRS_LIMIT:
                brute = in_new_process(search_cost, what, False, size, args.device, args.threads)
                row += f'{brute.seconds:13.3f}{brute.peak:9.1f}'
            print(row)


def main() -> None:
    args = parse_args()
    torch.set_num_threads(args.threads)
    print(machine(args.device))
    print_soft(args)
    print_difficult(args)
    print_searches(args)


if __name__ == '__main__':
    main()
