"""Write the correspondence explorer: one HTML file to open in any browser, without a network.

Point at a pixel of one image to see it in all others; place points; paint labels that spread.
"""

from __future__ import annotations

import argparse
import os

import torch

from mmcoordgan.apis import CoordGANInferencer
from mmcoordgan.apis.codes import seed_codes
from mmcoordgan.cli.infer import load
from mmcoordgan.cli.infer_options import add_common, add_refining
from mmcoordgan.cli.outputs import check_file, list_images
from mmcoordgan.datasets.loading import read_rgb
from mmcoordgan.errors import UserError, explained, explained_errors
from mmcoordgan.io.files import atomic_file
from mmcoordgan.visualization.explorer import (
    DOUBTFUL,
    MAX_PICTURES,
    MIN_PICTURES,
    Accuracy,
    ExplorerPicture,
    explorer_page,
)


def display_names(paths: list[str]) -> list[str]:
    """File names without folders, which a shared page should not tell; equal ones are numbered."""
    names = [os.path.basename(path) for path in paths]
    numbers = [names[: place + 1].count(name) for place, name in enumerate(names)]
    return [f'{x} ({n})' if names.count(x) > 1 else x for x, n in zip(names, numbers)]


@torch.no_grad()
def read_pictures(
    inferencer: CoordGANInferencer, paths: list[str], size: int | None, refine: int
) -> list[ExplorerPicture]:
    """Image files with their maps; shown in their own aspect ratio."""
    pictures = []
    results = inferencer.iter_encode(paths, batch_size=1, refine=refine)
    for found, name in zip(results, display_names(paths)):  # in this order, the bar ends
        coords, error = torch.from_numpy(found.coords), found.map_error
        if size is not None:
            if found.structure_w is None:
                raise ValueError('--size needs an encoder that gives structure codes: drop it')
            structure_w = torch.from_numpy(found.structure_w)[None].to(inferencer.device)
            coords, error = inferencer.networks.generator.warp(structure_w, size)[0], None
        warning = DOUBTFUL if found.domain is not None and found.domain.doubtful else ''
        pictures.append(ExplorerPicture(name, read_rgb(found.name), coords, warning, error))
    return pictures


@torch.no_grad()
def sample_pictures(
    inferencer: CoordGANInferencer, count: int, seed: int, size: int | None
) -> list[ExplorerPicture]:
    """Images of the seeds ``seed``, ``seed + 1``, ... with their maps."""
    generator, samples = inferencer.networks.generator, inferencer.sample(count, seed)
    codes = [seed_codes(generator, number)[0] for number in range(seed, seed + count)]
    maps = [generator.warp(structure_w, size)[0] for structure_w in codes]
    return [ExplorerPicture(s.name, s.image, coords) for s, coords in zip(samples, maps)]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('checkpoint', help='checkpoint, or work dir of a training: its last one')
    add('images', nargs='*', metavar='IMAGE', help='files and folders; need stage 2')
    add('--samples', type=int, metavar='N', help='show N generated images instead of images')
    add('--seed', type=int, default=0, help='seed of the first sample [0]')
    add('--out', required=True, metavar='FILE', help='the HTML file to write')
    add('--size', type=int, metavar='S', help="side of the maps, 8 to 256 [the network's own]")
    add('--title', default='Correspondence explorer', help='heading of the page')
    add_refining(parser)
    add_common(parser)
    args = parser.parse_args()
    if bool(args.images) == (args.samples is not None):
        parser.error('give either image files or --samples N')
    return args


@explained_errors('export_explorer.py')
def main() -> None:
    args = parse_args()
    paths = list_images(args.images)
    count = len(paths) or args.samples
    if not MIN_PICTURES <= count <= MAX_PICTURES:
        raise UserError(f'the explorer shows {MIN_PICTURES} to {MAX_PICTURES} images, not {count}')
    check_file(args.out, ['.html', '.htm'], force=args.force, protected=[args.checkpoint, *paths])
    with explained():
        inferencer = load(args)
        if paths:
            pictures = read_pictures(inferencer, paths, args.size, args.refine)
        else:
            pictures = sample_pictures(inferencer, count, args.seed, args.size)
        known = inferencer.encoder.held_out
        accuracy = Accuracy(inferencer.temperature, *known[1:]) if known and known.errors else None
        page = explorer_page(pictures, args.title, accuracy).encode('utf-8')
    with atomic_file(args.out) as file:
        file.write(page)
    print(f'{args.out}: {count} images, {len(page) / 1e6:.2f} MB')


if __name__ == '__main__':
    main()
