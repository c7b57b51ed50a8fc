"""The options of ``infer.py``; those of its models, which other tools share."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Mapping
from typing import Any

from mmcoordgan.apis.images import EXTENSIONS
from mmcoordgan.apis.inferencer import PARTS
from mmcoordgan.zoo import list_models

DESCRIPTION = f"""\
Use a trained checkpoint on images.

The checkpoint is enough: it carries its config. IMAGES are files, and folders with all below that
end in {' '.join(EXTENSIONS[:6])}
{' '.join(EXTENSIONS[6:])}, of any size and shape. --out is a new or empty folder; results
in it have the names of their images. An image that cannot be read is left out and listed at the
end; the exit code is then 1. Images unlike those that the model knows are listed as well, and
domain.csv holds how unlike they are, if the model's file says what it knows. Each verb has its own
help:

  infer.py transfer-labels --help
"""
MANY = 'encode transfer-labels transfer-points'
MATCHING = 'correspond transfer-labels transfer-points'
DRAWING = 'transfer-labels transfer-points swap-texture sample interpolate'


def build_parser(program: str, verbs: Mapping[str, Any]) -> argparse.ArgumentParser:
    """The parser of all verbs, which are functions whose docstrings are their help."""
    raw: Any = dict(formatter_class=argparse.RawDescriptionHelpFormatter)
    about = DESCRIPTION.replace('infer.py', program)
    parser = argparse.ArgumentParser(prog=program, description=about, **raw)
    subparsers = parser.add_subparsers(dest='verb', metavar='VERB', required=True)
    parsers = {}
    for verb, function in verbs.items():
        text = inspect.cleandoc(function.__doc__).replace('infer.py', program)
        summary = ' '.join(text.split('. ')[0].split()).split(':')[0]
        parsers[verb] = subparsers.add_parser(verb, help=summary, description=text, **raw)

    def add(those: str, *names: str, **settings: Any) -> None:
        for verb in those.split():
            parsers[verb].add_argument(*names, **settings)

    text = f'file, its work dir, or a bundled model: {", ".join(list_models())}'
    add(' '.join(verbs), 'checkpoint', metavar='CHECKPOINT', help=text)
    add(MANY, 'images', nargs='+', metavar='IMAGES', help='files and folders')
    add('correspond', 'a', metavar='A', help='image whose pixels are looked for')
    add('correspond', 'b', metavar='B', help='image in which they are found')
    add('interpolate', 'start', metavar='START', help='image, or seed:N')
    add('interpolate', 'end', metavar='END', help='image, or seed:N')
    for part in ('structure', 'texture'):
        text = f'images that give the {part}'
        add('swap-texture', f'--{part}', nargs='+', metavar='IMAGES', required=True, help=text)
    pairs: Any = dict(nargs=2, action='append', metavar=('IMAGE', 'MASK'), required=True)
    text = 'labelled image and its labels (.png, .npy, .json); may be repeated'
    add('transfer-labels', '--reference', help=text, **pairs)
    text = 'label that carries nothing, such as 255; for pixels that match nothing else'
    add('transfer-labels', '--ignore-label', type=int, metavar='N', help=text)
    text = 'image of the points'
    add('transfer-points', '--reference', metavar='FILE', required=True, help=text)
    add('transfer-points', '--points', metavar='FILE', required=True, help='.csv or .json')
    add('sample', '-n', '--number', type=int, default=16, help='how many [16]')
    add('sample', '--seed', type=int, default=0, help='of the first; others follow [0]')
    text = '1: full variety, 0: the average image; one number, or two: structure and texture [1]'
    add('sample', '--truncation', type=float, nargs='+', default=[1.0], metavar='T', help=text)
    add('interpolate', '--part', choices=PARTS, default=PARTS[0], help='what changes [structure]')
    add('interpolate', '--frames', type=int, default=16, help='images, both ends included [16]')
    add('interpolate', '--fps', type=float, default=10, help='of the GIF, 1..50 [10]')
    add(' '.join(verbs), '--out', metavar='DIR', required=True, help='new or empty folder')
    for verb, name, text in (
        ('encode', 'overview', 'also draw image, map and reconstruction in a row'),
        ('transfer-labels', 'overlay', 'also lay labels over the images'),
        ('transfer-points', 'overlay', 'also draw the points'),
        ('transfer-labels', 'probabilities', 'also write soft labels (C, h, w), as .npz'),
        ('sample', 'maps', 'also draw correspondence maps'),
    ):
        add(verb, f'--{name}', action='store_true', help=text)
    text = 'what is drawn becomes N times as large; labels/ keep the size of their images [1]'
    add(DRAWING, '--scale', type=int, default=1, metavar='N', help=text)
    text = "CSV of eyes and mouths, or OpenCV's face finder (ONNX): see only the faces, aligned"
    add(f'{MANY} swap-texture interpolate', '--crop', metavar='FILE', help=text)
    text = 'softness of matches at the size of the maps; 0: nearest pixel [as the config says]'
    add(MATCHING, '--temperature', type=float, metavar='T', help=text)
    text = 'images encoded together [8]'
    add(f'{MANY} swap-texture', '--batch-size', type=int, default=8, metavar='N', help=text)
    for verb, one in parsers.items():
        if verb != 'sample':
            add_refining(one)
        add_common(one, skipping=verb in ('encode', 'transfer-labels'))
    return parser


def add_refining(parser: argparse.ArgumentParser) -> None:
    """Options about finding codes."""
    text = 'improve codes by gradient descent; slower, often better [0]'
    parser.add_argument('--refine', type=int, default=0, metavar='STEPS', help=text)
    text = 'VGG16 weights, to refine with a model that uses LPIPS'
    parser.add_argument('--vgg-weights', metavar='FILE', help=text)
    text = 'do not find out whether images are like those that the model knows'
    parser.add_argument('--no-domain', action='store_true', help=text)


def add_common(parser: argparse.ArgumentParser, skipping: bool = False) -> None:
    """Options about loading a model, and about existing results."""
    parser.add_argument('--config', metavar='FILE', help='for a checkpoint without its config')
    parser.add_argument('--device', help='cpu, cuda, cuda:1 ... [a GPU if there is one]')
    group = parser.add_mutually_exclusive_group()
    group.add_argument('--force', action='store_true', help='overwrite results')
    if skipping:
        text = 'go on in the folder of an earlier run, with the same options'
        group.add_argument('--skip-existing', action='store_true', help=text)
    parser.add_argument('--quiet', action='store_true', help='no progress bar')
