"""Draw figures from a checkpoint: of image files, of generated images, or of ToyFaces.

Checkpoints of stage 1 have no encoder: they draw generated images only, and no label_transfer.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image

from mmcoordgan.apis import CoordGANInferencer
from mmcoordgan.apis.codes import seed_codes
from mmcoordgan.apis.matching import soft_labels
from mmcoordgan.cli.infer import load
from mmcoordgan.cli.infer_options import add_common, add_refining
from mmcoordgan.cli.outputs import check_file, list_images
from mmcoordgan.datasets import ToyFaces
from mmcoordgan.datasets.label_files import check_size, full_palette, read_labels
from mmcoordgan.datasets.loading import read_rgb
from mmcoordgan.errors import UserError, explained, explained_errors
from mmcoordgan.io.files import atomic_file
from mmcoordgan.visualization import TRANSFER_TITLES, arrange_cells, paper_figures, transfer_row
from mmcoordgan.visualization.grids import TransferPicture
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
    numbers = range(1, len(rows))
    if name == 'label_transfer':
        return list(TRANSFER_TITLES), []
    if name == 'correspondence_maps':
        return ['frame'], ['image', 'its codes', 'map', 'frame']
    if name == 'texture_swap':
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
def generate(inferencer: CoordGANInferencer, count: int, seed: int) -> CodedPictures:
    """Images of the seeds ``seed``, ``seed + 1``, ..."""
    images = np.stack([sample.image for sample in inferencer.sample(count, seed)])
    generator = inferencer.networks.generator
    codes = [seed_codes(generator, number) for number in range(seed, seed + count)]
    structure_w, texture_w = map(torch.cat, zip(*codes))
    return CodedPictures(images, structure_w, texture_w, generator.warp(structure_w))


def with_labels(coded: CodedPictures, labels: Sequence[np.ndarray]) -> list[TransferPicture]:
    """Images with their maps and their labels (H, W)."""
    size, classes = coded.coords.shape[-1], range(1 + max(int(one.max()) for one in labels))
    soft = [soft_labels(one, classes, size).to(coded.coords) for one in labels]
    return [TransferPicture(*fields) for fields in zip(coded.images, coded.coords, soft)]


def collect(args: argparse.Namespace, inferencer: CoordGANInferencer) -> tuple:
    """Images to draw; those of label_transfer, its reference first; a color for each label."""
    if args.toy_faces:
        faces = ToyFaces(size=inferencer.networks.generator.image_size, seed=args.seed)
        samples = [faces.get_data_info(index) for index in range(args.num)]
        coded = encode(inferencer, [sample['img'] for sample in samples], args.refine)
        labelled = with_labels(coded, [sample['gt_seg_map'] for sample in samples])
        return coded, labelled, faces.METAINFO['palette']
    if args.images:
        coded = encode(inferencer, list_images(args.images), args.refine)
    else:
        coded = generate(inferencer, args.num, args.seed)
    if not args.reference:
        return coded, [], []
    image, mask = args.reference
    labels, colors = read_labels(mask)
    check_size(labels, f'mask {mask}', image, read_rgb(image).shape[:2])
    (reference,) = with_labels(encode(inferencer, [image], args.refine), [labels])
    queries = [TransferPicture(*fields) for fields in zip(coded.images, coded.coords)]
    return coded, [reference, *queries], full_palette(colors).tolist()


def draw(args: argparse.Namespace, names: Sequence[str]) -> Iterator[Rows]:
    """The cells of each figure."""
    inferencer = load(args)
    coded, labelled, palette = collect(args, inferencer)
    for name in names:
        if name == 'label_transfer':
            settings = palette, inferencer.temperature
            yield [transfer_row(labelled[0], query, *settings) for query in labelled[1:]]
        else:
            steps = [args.steps] if 'interpolation' in name else []
            yield getattr(paper_figures, name)(inferencer.networks.generator, coded, *steps)


def parse_args() -> argparse.Namespace:
    figures = '\n'.join(f'  {name}: {text}' for name, text in FIGURES.items())
    kind = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=f'{__doc__}\n{figures}', formatter_class=kind)
    add = parser.add_argument
    add('checkpoint', help='checkpoint, or work dir of a training: its last one')
    add('images', nargs='*', metavar='IMAGE', help='image files or folders [generated images]')
    add('--out', required=True, metavar='DIR', help='folder for the figures')
    add('--only', nargs='+', choices=FIGURES, metavar='FIGURE', help='draw only these figures')
    add('--toy-faces', action='store_true', help='draw ToyFaces; the first is the reference')
    text = 'labelled image for label_transfer; MASK is a palette or grey PNG of its size'
    add('--reference', nargs=2, default=[], metavar=('IMAGE', 'MASK'), help=text)
    add('--num', type=int, default=6, metavar='N', help='images if no IMAGE is given [6]')
    add('--seed', type=int, default=0, help='seed of generated or toy images [0]')
    add('--steps', type=int, default=8, help='cells of an interpolation [8]')
    add('--no-captions', action='store_true', help='draw the images alone')
    add_refining(parser)
    add_common(parser)
    args = parser.parse_args()
    if args.toy_faces and (args.images or args.reference):
        parser.error('--toy-faces brings its own images and labels: give nothing else to draw')
    return args


@explained_errors('figures.py')
def main() -> None:
    args = parse_args()
    labelled = args.toy_faces or args.reference
    names = args.only or [n for n in FIGURES if labelled or n != 'label_transfer']
    if 'label_transfer' in names and not labelled:
        raise UserError('label_transfer needs labels: --reference IMAGE MASK, or --toy-faces')
    paths = [os.path.join(args.out, f'{name}.png') for name in names]
    given = [args.checkpoint, *args.images, *args.reference]
    for path in paths:
        check_file(path, ['.png'], force=args.force, protected=given)
    with explained():
        figures = list(draw(args, names))
    for name, path, rows in zip(names, paths, figures):
        texts = ([], []) if args.no_captions else captions(name, rows)
        with atomic_file(path) as file:
            Image.fromarray(arrange_cells(rows, 96, *texts)).save(file, 'PNG', optimize=True)
        print(f'{path}: {FIGURES[name]}')


if __name__ == '__main__':
    main()
