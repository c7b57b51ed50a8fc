"""Draw the paper's figures from a checkpoint."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from mmcoordgan.apis import CoordGANInferencer
from mmcoordgan.apis.codes import seed_codes
from mmcoordgan.apis.matching import soft_labels
from mmcoordgan.cli.infer import load
from mmcoordgan.cli.infer_options import add_common, add_refining
from mmcoordgan.cli.launch import explained, explained_errors
from mmcoordgan.cli.outputs import check_file, list_images
from mmcoordgan.datasets import ToyFaces
from mmcoordgan.datasets.label_files import check_size, full_palette, read_labels
from mmcoordgan.datasets.loading import read_rgb
from mmcoordgan.errors import UserError
from mmcoordgan.io.files import atomic_file
from mmcoordgan.visualization import (
    TRANSFER_TITLES,
    TransferPicture,
    arrange_cells,
    images_to_uint8,
    paper_figures,
    transfer_row,
)
from mmcoordgan.visualization.paper_figures import CodedPictures, Rows

FIGURES = {
    'texture_swap': 'every structure (rows) in every texture (columns)',
    'correspondence_maps': 'from the top: images, what their codes give, their maps with the '
    'key to the colours, the canonical frame in their textures',
    'label_transfer': 'reference, query, its map, the colours of the reference carried to it, the '
    'labels of the reference, those carried, and the true ones where they are known',
    'structure_interpolation': "from each image's structure to the next one's, maps below",
    'texture_interpolation': "from each image's texture to the next one's",
}


def captions(name: str, rows: Rows) -> tuple[list[str], list[str]]:
    """What stands below the columns and beside the rows of a figure."""
    if name == 'label_transfer':
        return list(TRANSFER_TITLES), []
    if name == 'correspondence_maps':
        return ['frame'], ['image', 'its codes', 'map', 'frame']
    if name == 'texture_swap':
        numbers = range(1, len(rows))
        return ['', *(f'texture {n}' for n in numbers)], ['', *(f'structure {n}' for n in numbers)]
    return [f'{100 * i / (len(rows[0]) - 1):.0f} %' for i in range(len(rows[0]))], []


def encode(inferencer: CoordGANInferencer, sources: Sequence, refine: int) -> CodedPictures:
    """Codes and maps of image files or arrays, squeezed to the squares that the networks see."""
    found = list(inferencer.encoder.find_all(sources, batch_size=1, refine=refine))
    images = np.stack([image.image for image, _ in found])
    structures, *others = zip(*(codes[:3] for _, codes in found))
    structure_w = None if structures[0] is None else torch.cat(structures)
    return CodedPictures(images, structure_w, *map(torch.cat, others))


@torch.no_grad()
def generate(generator: Any, count: int, seed: int) -> CodedPictures:
    """Images of the seeds ``seed``, ``seed + 1``, ..."""
    codes = [seed_codes(generator, number) for number in range(seed, seed + count)]
    structure_w, texture_w = (torch.cat(parts) for parts in zip(*codes))
    coords = generator.warp(structure_w)
    pairs = zip(coords.split(1), texture_w.split(1))
    images = [images_to_uint8(generator.synthesize(*pair))[0] for pair in pairs]
    return CodedPictures(np.stack(images), structure_w, texture_w, coords)


def with_labels(pictures: CodedPictures, labels: list[np.ndarray]) -> list[TransferPicture]:
    """Images with their maps, and with labels (H, W), which the first images have."""
    size, classes = pictures.coords.shape[-1], range(1 + max(int(one.max()) for one in labels))
    soft = [soft_labels(one, classes, size).to(pictures.coords) for one in labels]
    soft += [None] * (len(pictures.images) - len(soft))
    return [TransferPicture(*fields) for fields in zip(pictures.images, pictures.coords, soft)]


def collect(
    args: argparse.Namespace, inferencer: CoordGANInferencer
) -> tuple[CodedPictures, list[TransferPicture], list]:
    """Images to draw; those of label_transfer, its reference first; a color for each label."""
    generator = inferencer.networks.generator
    if args.toy_faces:
        faces = ToyFaces(size=generator.image_size, length=args.num, seed=args.seed)
        samples = [faces.get_data_info(index) for index in range(args.num)]
        pictures = encode(inferencer, [sample['img'] for sample in samples], args.refine)
        transfer = with_labels(pictures, [sample['gt_seg_map'] for sample in samples])
        return pictures, transfer, faces.METAINFO['palette']
    if args.images:
        pictures = encode(inferencer, list_images(args.images), args.refine)
    else:
        pictures = generate(generator, args.num, args.seed)
    if not args.reference:
        return pictures, [], []
    image, mask = args.reference
    labels, colors = read_labels(mask)
    check_size(labels, f'mask {mask}', image, read_rgb(image).shape[:2])
    reference = encode(inferencer, [image], args.refine)
    joined = reference._replace(
        images=np.concatenate([reference.images, pictures.images]),
        coords=torch.cat([reference.coords, pictures.coords]),
    )
    return pictures, with_labels(joined, [labels]), full_palette(colors).tolist()


def draw(args: argparse.Namespace) -> Iterator[tuple[str, Rows]]:
    """Names of the figures, and their cells."""
    labelled = args.toy_faces or args.reference
    names = args.only or [n for n in FIGURES if labelled or n != 'label_transfer']
    if 'label_transfer' in names and not labelled:
        raise UserError('label_transfer needs labels: --reference IMAGE MASK, or --toy-faces')
    for name in names:
        path = os.path.join(args.out, f'{name}.png')
        protected = [args.checkpoint, *args.images, *(args.reference or [])]
        check_file(path, ['.png'], force=args.force, protected=protected)
    inferencer = load(args)
    pictures, transfer, palette = collect(args, inferencer)
    for name in names:
        if name == 'label_transfer':
            settings = palette, inferencer.temperature
            yield name, [transfer_row(transfer[0], q, *settings) for q in transfer[1:]]
        else:
            steps = [args.steps] if 'interpolation' in name else []
            function = getattr(paper_figures, name)
            yield name, function(inferencer.networks.generator, pictures, *steps)


def main() -> None:
    figures = '\n'.join(f'  {name}: {text}' for name, text in FIGURES.items())
    parser = argparse.ArgumentParser(
        description='Draws figures from a checkpoint, one PNG each, of image files, of generated '
        f'images or of ToyFaces:\n{figures}\nCheckpoints of stage 1 have no encoder: they draw '
        'generated images only, and no label_transfer.',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('checkpoint', help='checkpoint, or work dir of a training, which stands for its last one')
    add('images', nargs='*', metavar='IMAGE', help='image files or folders [generated images]')
    add('--out', required=True, metavar='DIR', help='folder for the figures')
    add('--only', nargs='+', choices=FIGURES, metavar='FIGURE', help='draw only these figures')
    text = 'draw ToyFaces, which have labels; label_transfer takes the first as reference'
    add('--toy-faces', action='store_true', help=text)
    text = (
        'labelled image for label_transfer; MASK is a PNG of its size with the class of each pixel '
        'as palette index or grey value'
    )
    add('--reference', nargs=2, metavar=('IMAGE', 'MASK'), help=text)
    add('--num', type=int, default=6, metavar='N', help='images if no IMAGE is given [6]')
    add('--seed', type=int, default=0, help='seed of generated or toy images [0]')
    add('--steps', type=int, default=8, help='cells of an interpolation [8]')
    add('--no-captions', action='store_true', help='draw the images alone')
    add_refining(parser)
    add_common(parser)
    args = parser.parse_args()
    if args.toy_faces and (args.images or args.reference):
        parser.error('--toy-faces brings its own images and labels: give nothing else to draw')
    if args.num < 1:
        parser.error('--num must be at least 1')
    with explained_errors('figures.py'):
        with explained():
            drawn = dict(draw(args))
        for name, rows in drawn.items():
            path = os.path.join(args.out, f'{name}.png')
            texts = ([], []) if args.no_captions else captions(name, rows)
            with atomic_file(path) as file:
                Image.fromarray(arrange_cells(rows, 96, *texts)).save(file, 'PNG', optimize=True)
            print(f'{path}: {FIGURES[name]}')


if __name__ == '__main__':
    main()
