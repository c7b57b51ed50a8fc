"""How well a trained generator splits structure from texture, beside an untrained one.

Prints for both, with averaged weights: the distance between images of one structure in two textures
and of two structures in one texture (structure tensor), how often the first is the smaller (AUC),
the spread of the maps over structures, and the fraction of folded pixels.
"""

from __future__ import annotations

import argparse

import torch

from mmcoordgan.apis import CoordGANInferencer
from mmcoordgan.errors import explained, explained_errors
from mmcoordgan.evaluation.map_quality import folded_fraction, separation, structure_spread
from mmcoordgan.models.losses import StructureTensorLoss
from mmcoordgan.models.networks import CoordGANGenerator

CHUNK = 8
"""Images that pass the generator together; of all others, maps alone are kept."""


@torch.no_grad()
def figures(generator: torch.nn.Module, samples: int, seed: int) -> dict[str, float]:
    """What is printed, by its names; the codes do not depend on the device."""
    generator.eval()
    device = next(generator.parameters()).device
    source = torch.Generator().manual_seed(seed)
    structure_z = torch.randn(samples, generator.structure_dim, generator=source).to(device)
    texture_z = torch.randn(samples, generator.texture_dim, generator=source).to(device)
    structure_w = generator.map_structure(structure_z).split(CHUNK)
    coords = torch.cat([generator.warp(w).cpu() for w in structure_w])
    texture_w, perceptual = generator.map_texture(texture_z), StructureTensorLoss()
    codes = coords, coords.roll(1, 0), texture_w, texture_w.roll(1, 0)
    same, other = [], []  # distances to another texture and to another structure
    for chunk in zip(*(values.split(CHUNK) for values in codes)):
        maps, other_maps, w, other_w = (values.to(device) for values in chunk)
        images = generator.synthesize(maps, w)
        same.append(perceptual(images, generator.synthesize(maps, other_w)).cpu())
        other.append(perceptual(images, generator.synthesize(other_maps, w)).cpu())
    return {
        'same structure': torch.cat(same).mean().item(),
        'other structure': torch.cat(other).mean().item(),
        'AUC': separation(torch.cat(same), torch.cat(other)),
        'spread of maps': structure_spread(coords),
        'folded pixels': folded_fraction(coords),
    }


@explained_errors('inspect_generator.py')
@explained()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', help='checkpoint of either stage, or its work dir')
    parser.add_argument('--samples', type=int, default=256, help='number of images [256]')
    parser.add_argument('--seed', type=int, default=0, help='seed of the latent codes [0]')
    parser.add_argument('--device', help='cpu, cuda, cuda:1 ... [a GPU if there is one]')
    args = parser.parse_args()
    if args.samples < 2:
        parser.error(f'--samples must be at least 2, but is {args.samples}')
    inferencer = CoordGANInferencer(args.checkpoint, device=args.device, check_domain=False)
    trained = inferencer.networks
    torch.manual_seed(args.seed)
    fresh = CoordGANGenerator(**trained.arguments['generator']).to(inferencer.device)
    before = figures(fresh, args.samples, args.seed)
    after = figures(trained.generator, args.samples, args.seed)
    print(f'{args.samples} samples, seed {args.seed}, averaged weights of {trained.source}')
    print(f'{"":18}{"untrained":>10}{"trained":>10}')
    for name, value in after.items():
        print(f'{name:18}{before[name]:10.4f}{value:10.4f}')


if __name__ == '__main__':
    main()
