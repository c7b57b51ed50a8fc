"""Draw the paper's figures from a checkpoint."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mmcoordgan.apis import CoordGANInferencer, TrainedNetworks
from mmcoordgan.apis.codes import seed_codes
from mmcoordgan.apis.masks import check_labels, full_palette, read_label_mask
from mmcoordgan.apis.matching import soft_labels
from mmcoordgan.cli.infer import explained, load
from mmcoordgan.cli.infer_options import add_common, add_refining
from mmcoordgan.cli.launch import explained_errors
from mmcoordgan.cli.outputs import check_file, list_images
from mmcoordgan.datasets import ToyFaces
from mmcoordgan.datasets.loading import read_rgb
from mmcoordgan.errors import UserError
from mmcoordgan.io.files import atomic_file
from mmcoordgan.visualization import (
    TransferPicture,
    arrange_cells,
    images_to_uint8,
    transfer_row,
)
from mmcoordgan.visualization.paper_figures import (
    CodedPictures,
    Rows,
    correspondence_maps,
    structure_interpolation,
    texture_interpolation,
    texture_swap,
)

FIGURES = {
    'texture_swap': 'every structure (rows) in every texture (columns)',
    'correspondence_maps': 'from the top: images, what their codes give, their maps with the '
    'key to the colours, the canonical frame in their textures',
    'label_transfer': 'reference, query, its map, the colours and the labels of the reference '
    'carried to it, and its true labels where they are known',
    'structure_interpolation': "from each image's structure to the next one's, maps below",
    'texture_interpolation': "from each image's texture to the next one's",
}
MAX_PICTURES, MAX_STEPS = 64, 64


def parse_args() -> argparse.Namespace:
    figures = '\n'.join(f'  {name}: {text}' for name, text in FIGURES.items())
    parser = argparse.ArgumentParser(
        description='Draws figures from a checkpoint, one PNG each, of image files, of generated '
        f'images or of ToyFaces:\n{figures}\nCheckpoints of stage 1 have no encoder: they draw '
        'generated images only, and no label_transfer.',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'checkpoint', help='checkpoint, or work dir of a training, which stands for its last one'
    )
    parser.add_argument(
        'images',
        nargs='*',
        metavar='IMAGE',
        help=f'2 to {MAX_PICTURES} image files, or folders of them; 1 will do for label_transfer '
        'alone; default: generated ones',
    )
    parser.add_argument('--out', required=True, metavar='DIR', help='folder for the figures')
    parser.add_argument(
        '--only', nargs='+', choices=FIGURES, metavar='FIGURE', help='draw only these figures'
    )
    parser.add_argument(
        '--toy-faces',
        action='store_true',
        help='draw ToyFaces, which have labels; label_transfer takes the first as reference',
    )
    parser.add_argument(
        '--reference',
        nargs=2,
        metavar=('IMAGE', 'MASK'),
        help='labelled image for label_transfer; MASK is a PNG of its size with the class of '
        'each pixel as palette index or grey value',
    )
    parser.add_argument('--num', type=int, metavar='N', help='images if no IMAGE is given [6]')
    parser.add_argument('--seed', type=int, help='seed of generated or toy images [0]')
    parser.add_argument('--steps', type=int, help='cells of an interpolation [8]')
    parser.add_argument('--min-cell', type=int, default=96, help='least side of a cell [96]')
    add_refining(parser)
    add_common(parser)
    return parser.parse_args()


def check_args(args: argparse.Namespace) -> None:
    """Refuse what cannot work before anything is loaded.

    Raises:
        UserError: with the reason.
    """
    if args.images and (args.toy_faces or args.num is not None):
        raise UserError('give image files, or --num and --toy-faces, but not both')
    if args.toy_faces and args.reference:
        raise UserError('--toy-faces brings its own reference: leave out --reference')
    figures = args.only or list(FIGURES)
    check_used(args, figures)
    args.seed, args.steps = args.seed or 0, 8 if args.steps is None else args.steps
    args.images = list_images(args.images)
    count = len(args.images) or (6 if args.num is None else args.num)
    least = 1 if args.reference and figures == ['label_transfer'] else 2
    values = dict(images=(count, least, MAX_PICTURES), steps=(args.steps, 2, MAX_STEPS))
    for name, (value, least, most) in values.items():
        if not least <= value <= most:
            raise UserError(f'the number of {name} must be {least} to {most}, but is {value}')
    if args.min_cell < 1 or args.seed < 0:
        raise UserError('--min-cell must be at least 1 and --seed at least 0')
    args.num = count
    protected = [args.checkpoint, *args.images, *(args.reference or [])]
    for name in figures:
        path = os.path.join(args.out, f'{name}.png')
        check_file(path, ['.png'], force=args.force, protected=protected)


def check_used(args: argparse.Namespace, figures: list[str]) -> None:
    """Refuse options that nothing would read.

    Raises:
        UserError: with the reason.
    """
    if args.refine and not (args.images or args.toy_faces or args.reference):
        raise UserError('--refine improves the codes of images that are read: name some')
    if args.seed is not None and args.images:
        raise UserError('--seed is for images that are made: drop it, or leave out IMAGE')
    if args.steps is not None and not any('interpolation' in name for name in figures):
        raise UserError('--steps is for interpolations, which --only leaves out: drop it')
    if args.reference and 'label_transfer' not in figures:
        raise UserError('--reference is for label_transfer, which --only leaves out: drop it')


def wanted_figures(args: argparse.Namespace, networks: TrainedNetworks) -> list[str]:
    """The figures that can be drawn; prints which are left out.

    Raises:
        UserError: If the images need an encoder, or a figure that ``--only`` asks for cannot
            be drawn.
    """
    if networks.encoder is None and (args.images or args.toy_faces or args.reference):
        raise UserError(
            f'{networks.source} is a checkpoint of stage 1, which cannot read images: give one '
            'of stage 2 (CoordGANInversion), or leave out IMAGE, --toy-faces and --reference'
        )
    figures = list(args.only or FIGURES)
    if 'label_transfer' in figures and not (args.toy_faces or args.reference):
        reason = 'label_transfer needs labels: --reference IMAGE MASK, or --toy-faces'
        if networks.encoder is None:
            reason = f'label_transfer needs an encoder, which {networks.source} does not have'
        if args.only:
            raise UserError(reason)
        print(f'left out: {reason}')
        figures.remove('label_transfer')
    return figures


def encode(inferencer: CoordGANInferencer, sources: Sequence, refine: int) -> CodedPictures:
    """Codes and maps of image files or arrays, squeezed to the squares that the networks see."""
    found = inferencer.encode(sources, batch_size=1, refine=refine)

    def stacked(name: str) -> Any:
        values = [getattr(encoding, name) for encoding in found]
        if values[0] is None:
            return None
        return torch.from_numpy(np.stack(values)).to(inferencer.device)

    codes = (stacked(name) for name in ('structure_w', 'texture_w', 'coords'))
    return CodedPictures(np.stack([encoding.image for encoding in found]), *codes)


@torch.no_grad()
def generate(generator: Any, count: int, seed: int) -> CodedPictures:
    """Images of the seeds ``seed``, ``seed + 1``, ..."""
    codes = [seed_codes(generator, number) for number in range(seed, seed + count)]
    structure_w, texture_w = (torch.cat(parts) for parts in zip(*codes))
    coords = generator.warp(structure_w)
    pairs = zip(coords.split(1), texture_w.split(1))
    images = [images_to_uint8(generator.synthesize(*pair))[0] for pair in pairs]
    return CodedPictures(np.stack(images), structure_w, texture_w, coords)


def read_reference_mask(mask: str, picture: str) -> tuple[np.ndarray, list]:
    """Labels (H, W) uint8 of an image, and a palette with a colour for each."""
    labels, colors = read_label_mask(mask)
    check_labels(labels, read_rgb(picture).shape[:2], mask, picture)
    return labels, full_palette(colors).tolist()


class Transfer(NamedTuple):
    """What label_transfer draws: a labelled reference, then the queries."""

    images: list[np.ndarray]
    """RGB (H, W, 3) uint8."""
    coords: Tensor
    """(N, 2, h, w)."""
    labels: list[np.ndarray]
    """(H, W) uint8 of the first images; the others have none."""
    palette: list
    """A colour for each label."""


def label_transfer(transfer: Transfer, temperature: float) -> Rows:
    """A row for each query; temperature 0 takes the nearest pixel."""
    size = transfer.coords.shape[-1]
    used = 1 + max(int(labels.max()) for labels in transfer.labels)
    shown = []
    for number, (image, coords) in enumerate(zip(transfer.images, transfer.coords)):
        labels = None
        if number < len(transfer.labels):
            labels = soft_labels(transfer.labels[number], range(used), size).to(coords)
        shown.append(TransferPicture(image, coords, labels))
    return [transfer_row(shown[0], query, transfer.palette, temperature) for query in shown[1:]]


def toy_faces(
    inferencer: CoordGANInferencer, count: int, seed: int, refine: int
) -> tuple[CodedPictures, Transfer]:
    size = inferencer.networks.generator.image_size
    faces = ToyFaces(size=size, length=count, seed=seed)
    samples = [faces.get_data_info(index) for index in range(count)]
    pictures = encode(inferencer, [sample['img'] for sample in samples], refine)
    labels = [sample['gt_seg_map'] for sample in samples]
    palette = faces.METAINFO['palette']
    return pictures, Transfer(list(pictures.images), pictures.coords, labels, palette)


def collect(
    args: argparse.Namespace, inferencer: CoordGANInferencer
) -> tuple[CodedPictures, Transfer | None]:
    """The images to draw, and those of label_transfer if there are labels."""
    if args.toy_faces:
        return toy_faces(inferencer, args.num, args.seed, args.refine)
    if args.images:
        pictures = encode(inferencer, args.images, args.refine)
    else:
        pictures = generate(inferencer.networks.generator, args.num, args.seed)
    if not args.reference:
        return pictures, None
    labels, palette = read_reference_mask(args.reference[1], args.reference[0])
    reference = encode(inferencer, [args.reference[0]], args.refine)
    images = [*reference.images, *pictures.images]
    coords = torch.cat([reference.coords, pictures.coords])
    return pictures, Transfer(images, coords, [labels], palette)


def draw(args: argparse.Namespace) -> None:
    check_args(args)
    with explained():
        inferencer = load(args)
        figures = wanted_figures(args, inferencer.networks)
        pictures, transfer = collect(args, inferencer)
    generator, temperature = inferencer.networks.generator, inferencer.temperature
    drawings = {
        'texture_swap': lambda: texture_swap(generator, pictures),
        'correspondence_maps': lambda: correspondence_maps(generator, pictures),
        'label_transfer': lambda: label_transfer(transfer, temperature),
        'structure_interpolation': lambda: structure_interpolation(generator, pictures, args.steps),
        'texture_interpolation': lambda: texture_interpolation(generator, pictures, args.steps),
    }
    for name in figures:
        path = Path(args.out, f'{name}.png')
        picture = Image.fromarray(arrange_cells(drawings[name](), args.min_cell))
        with atomic_file(path) as file:
            picture.save(file, 'PNG', optimize=True)
        print(f'{path}: {FIGURES[name]}')


def main() -> None:
    args = parse_args()
    with explained_errors('figures.py'):
        draw(args)


if __name__ == '__main__':
    main()
