"""How well a trained generator splits structure from texture, beside an untrained one."""

from __future__ import annotations

import argparse
import copy
from typing import Any

import torch
from torch import Tensor

from mmcoordgan.apis.plain_config import read_setting
from mmcoordgan.engine.launch import LaunchError, check_checkpoint, explained_errors
from mmcoordgan.evaluation.map_quality import folded_share, separation, structure_spread
from mmcoordgan.models.losses import PerceptualDistance, StructureTensorLoss
from mmcoordgan.models.networks import CoordGANGenerator
from mmcoordgan.models.pretrained import part_of


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Prints, for the averaged generator of a checkpoint and for an untrained one: '
        'the distance between pictures of one structure in two textures and of two structures in '
        'one texture (structure tensor), how often the first is the smaller (AUC), the spread of '
        'the maps over structures, and the share of folded pixels.'
    )
    parser.add_argument('checkpoint', help='checkpoint of a CoordGAN')
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


def read_generators(checkpoint: Any) -> tuple[CoordGANGenerator, CoordGANGenerator]:
    """The averaged generator of a checkpoint, and a fresh one of its architecture.

    The checkpoint's config says which class to build. A file of unknown origin might name any
    function there, so that nothing but the one class is built.
    """
    state = part_of(checkpoint.get('state_dict', {}), 'generator_ema')
    if not state or 'cfg' not in checkpoint.get('meta', {}):
        raise ValueError('it holds no generator_ema with its config')
    config = dict(read_setting(checkpoint['meta']['cfg'], 'model')['generator'])
    kind = str(config.pop('type', None))
    if kind not in ('CoordGANGenerator', 'mmcoordgan.CoordGANGenerator'):
        raise ValueError(f'its generator is a {kind}')
    fresh = CoordGANGenerator(**config)
    generator = copy.deepcopy(fresh)
    generator.load_state_dict(state)
    return generator, fresh


def main() -> None:
    args = parse_args()
    with explained_errors('inspect_generator.py'):
        inspect(args)


def inspect(args: argparse.Namespace) -> None:
    check_checkpoint(args.checkpoint)
    checkpoint = torch.load(args.checkpoint, map_location='cpu', weights_only=True)
    torch.manual_seed(args.seed)
    try:
        generator, fresh = read_generators(checkpoint)
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        raise LaunchError(
            f'{args.checkpoint} is no checkpoint of stage 1 (CoordGAN): {error}'
        ) from None
    untrained = figures(fresh, args.samples, args.seed)
    trained = figures(generator, args.samples, args.seed)
    print(f'{args.samples} samples, seed {args.seed}, averaged weights of {args.checkpoint}')
    print(f'{"":18}{"untrained":>10}{"trained":>10}')
    for name, value in trained.items():
        print(f'{name:18}{untrained[name]:10.4f}{value:10.4f}')


if __name__ == '__main__':
    main()
