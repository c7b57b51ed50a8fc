"""How well a trained generator splits structure from texture, beside an untrained one."""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

from mmcoordgan.apis import load_trained
from mmcoordgan.engine.launch import LaunchError, explained_errors
from mmcoordgan.evaluation.map_quality import folded_share, separation, structure_spread
from mmcoordgan.models.losses import PerceptualDistance, StructureTensorLoss
from mmcoordgan.models.networks import CoordGANGenerator


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Prints, for the averaged generator of a checkpoint and for an untrained one: '
        'the distance between pictures of one structure in two textures and of two structures in '
        'one texture (structure tensor), how often the first is the smaller (AUC), the spread of '
        'the maps over structures, and the share of folded pixels.'
    )
    parser.add_argument('checkpoint', help='checkpoint of either stage, or its work dir')
    parser.add_argument('--samples', type=int, default=256, help='number of pictures [256]')
    parser.add_argument('--seed', type=int, default=0, help='seed of the latent codes [0]')
    return parser.parse_args()


@torch.no_grad()
def distances(perceptual: PerceptualDistance, x: Tensor, y: Tensor) -> Tensor:
    """Distance of every pair (N,)."""
    return torch.stack([perceptual(a[None], b[None]) for a, b in zip(x, y)])


@torch.no_grad()
def figures(generator: torch.nn.Module, samples: int, seed: int) -> dict[str, float]:
    generator.eval()
    source = torch.Generator().manual_seed(seed)
    structure_z = torch.randn(samples, generator.structure_dim, generator=source)
    texture_z = torch.randn(samples, generator.texture_dim, generator=source)
    coords = generator.warp(generator.map_structure(structure_z))
    texture_w = generator.map_texture(texture_z)
    images = generator.synthesize(coords, texture_w)
    perceptual = StructureTensorLoss()
    same = distances(perceptual, images, generator.synthesize(coords, texture_w.roll(1, 0)))
    other = distances(perceptual, images, generator.synthesize(coords.roll(1, 0), texture_w))
    return {
        'same structure': same.mean().item(),
        'other structure': other.mean().item(),
        'AUC': separation(same, other),
        'spread of maps': structure_spread(coords),
        'folded pixels': folded_share(coords),
    }


def main() -> None:
    args = parse_args()
    with explained_errors('inspect_generator.py'):
        inspect(args)


def inspect(args: argparse.Namespace) -> None:
    if args.samples < 2:
        raise LaunchError(f'--samples must be at least 2, but is {args.samples}')
    try:
        trained = load_trained(args.checkpoint)
    except ValueError as error:
        raise LaunchError(str(error)) from None
    torch.manual_seed(args.seed)
    fresh = CoordGANGenerator(**trained.arguments['generator'])
    before = figures(fresh, args.samples, args.seed)
    after = figures(trained.generator, args.samples, args.seed)
    print(f'{args.samples} samples, seed {args.seed}, averaged weights of {trained.source}')
    print(f'{"":18}{"untrained":>10}{"trained":>10}')
    for name, value in after.items():
        print(f'{name:18}{before[name]:10.4f}{value:10.4f}')


if __name__ == '__main__':
    main()
