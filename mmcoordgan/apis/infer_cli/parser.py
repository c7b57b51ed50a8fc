"""Options of the verbs, with an example each."""

from __future__ import annotations

import argparse
from typing import Any

DESCRIPTION = """\
Use a trained checkpoint on pictures.

The checkpoint is enough: it carries its config. PICTURES are files and folders (with all pictures
below); results keep their names below the output folder. Pictures may have any size and shape, and
results have the picture's own; those of sample and interpolate have the generator's. Nothing is
overwritten without --force. A picture that cannot be read is left out and listed at the end; the
exit code is then 1. A reference, a texture or another picture that all results need ends the run,
with exit code 2. Each verb has its own help:

  infer.py transfer-labels --help
"""

EXAMPLES = {
    'encode': """\
Write what the encoder sees in pictures: one .npz each, with structure_w, texture_w, coords (the
correspondence map (2, h, w), x first, in (-1, 1)) and shape (height and width of the picture).

  infer.py encode stage2.pth photos/ --out codes/ --overview rows/
""",
    'correspond': """\
Find for each pixel of A the matching place in B. The .npz holds matches (2, H, W), x and y in
pixels of B for each pixel of A; cycle_distance (H, W), how far from the pixel the way to B and
back ends, as a share of A's sides; confidence (H, W) = 1 - cycle_distance / 0.1, at least 0. The
overview shows A, B, B's colours where they belong in A, and the confidence (white: sure).

  infer.py correspond stage2.pth anna.jpg bob.jpg --out matches.npz --overview matches.png
""",
    'transfer-labels': """\
Label a folder of pictures from one labelled picture, or from several, whose label probabilities are
averaged. Labels are written as palette PNGs, in the colours of the first mask that has some. A mask
is a palette or grey PNG (or .npy) of the size of its picture, with one label in 0..255 per pixel.

  infer.py transfer-labels stage2.pth photos/ --reference anna.jpg anna_mask.png --out labels/
  infer.py transfer-labels stage2.pth photos/ --out labels/ --overlay look/ \\
      --reference anna.jpg anna_mask.png --reference bob.jpg bob_mask.png
""",
    'transfer-points': """\
Carry points of a picture to others. Points are x, y in pixels; (0, 0) is the centre of the top left
pixel. FILE is a CSV with the columns label, x, y (the label may be missing), or a JSON {"points":
[{"label": "nose", "x": 15.5, "y": 17}]}. Results add the picture's name and the confidence in
0..1: CSV columns picture, label, x, y, confidence; JSON {"pictures": [{"picture": ..., "points":
[...]}]}.

  infer.py transfer-points stage2.pth photos/ --reference anna.jpg --points anna.csv --out all.csv
""",
    'swap-texture': """\
Paint the structure of pictures with the texture of another. Results have the names and sizes of the
structures' pictures; with several textures there is a folder for each. Any number of structures
will do; memory grows with the number of textures, whose codes and results for one structure are
held at once.

  infer.py swap-texture stage2.pth --structure photos/ --texture anna.jpg --out swapped/
""",
    'sample': """\
Generate pictures, with checkpoints of either stage. A picture depends on its seed alone.

  infer.py sample stage1.pth -n 64 --seed 0 --truncation 0.7 --out samples/
  infer.py sample stage1.pth -n 8 --truncation 1 0 --out one_texture/ --maps maps/
""",
    'interpolate': """\
Change the structure or the texture of a picture step by step into another's. START and END are
pictures, or seeds of samples, written seed:7.

  infer.py interpolate stage2.pth anna.jpg bob.jpg --out way.gif
  infer.py interpolate stage1.pth seed:3 seed:8 --part texture --frames 60 --out frames/
""",
}


def build_parser(program: str) -> argparse.ArgumentParser:
    """The parser of all verbs."""
    parser = _new(
        argparse.ArgumentParser, prog=program, description=DESCRIPTION.replace('infer.py', program)
    )
    verbs = parser.add_subparsers(dest='verb', metavar='VERB', required=True)
    adders = {
        'encode': _add_encode,
        'correspond': _add_correspond,
        'transfer-labels': _add_transfer_labels,
        'transfer-points': _add_transfer_points,
        'swap-texture': _add_swap_texture,
        'sample': _add_sample,
        'interpolate': _add_interpolate,
    }
    for verb, add in adders.items():
        text = EXAMPLES[verb].replace('infer.py', program)
        summary = ' '.join(text.split('. ')[0].split()).split(':')[0]
        verb_parser = _new(verbs.add_parser, verb, help=summary, description=text)
        verb_parser.add_argument('checkpoint', metavar='CHECKPOINT', help='file, or its work dir')
        add(verb_parser)
        add_common(verb_parser, skipping=verb in ('encode', 'transfer-labels'))
    return parser


def _new(make: Any, *args: Any, **kwargs: Any) -> Any:
    return make(*args, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs)


def _add_encode(parser: argparse.ArgumentParser) -> None:
    _add_pictures(parser)
    parser.add_argument('--out', metavar='DIR', required=True, help='folder for .npz files')
    parser.add_argument(
        '--overview', metavar='DIR', help='also draw picture, map and reconstruction in a row'
    )
    _add_reading(parser)


def _add_correspond(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('a', metavar='A', help='picture whose pixels are looked for')
    parser.add_argument('b', metavar='B', help='picture in which they are found')
    parser.add_argument('--out', metavar='FILE.npz', required=True, help='where matches go')
    parser.add_argument('--overview', metavar='FILE.png', help='also draw them')
    _add_matching(parser)
    add_refining(parser)


def _add_transfer_labels(parser: argparse.ArgumentParser) -> None:
    _add_pictures(parser)
    parser.add_argument(
        '--reference',
        nargs=2,
        action='append',
        required=True,
        metavar=('IMAGE', 'MASK'),
        help='a labelled picture and its labels; give it again for each further reference',
    )
    parser.add_argument('--out', metavar='DIR', required=True, help='folder for palette PNGs')
    parser.add_argument('--overlay', metavar='DIR', help='also lay labels over the pictures')
    parser.add_argument(
        '--probabilities',
        metavar='DIR',
        help='also write soft label probabilities (C, h, w) at the size of the maps, as .npz',
    )
    _add_matching(parser)
    _add_reading(parser)


def _add_transfer_points(parser: argparse.ArgumentParser) -> None:
    _add_pictures(parser)
    parser.add_argument('--reference', metavar='IMAGE', required=True, help='where the points are')
    parser.add_argument('--points', metavar='FILE', required=True, help='.csv or .json')
    parser.add_argument('--out', metavar='FILE', required=True, help='.csv or .json')
    parser.add_argument('--overlay', metavar='DIR', help='also draw the points')
    _add_matching(parser)
    _add_reading(parser)


def _add_swap_texture(parser: argparse.ArgumentParser) -> None:
    for part in ('structure', 'texture'):
        parser.add_argument(
            f'--{part}', nargs='+', metavar='PICTURES', required=True, help=f'give the {part}'
        )
    parser.add_argument('--out', metavar='DIR', required=True, help='folder for PNGs')
    _add_reading(parser)


def _add_sample(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('-n', '--number', type=int, default=16, help='how many [16]')
    parser.add_argument('--seed', type=int, default=0, help='of the first; others follow [0]')
    parser.add_argument(
        '--truncation',
        type=float,
        nargs='+',
        default=[1.0],
        metavar='T',
        help='1: full variety, 0: the average picture; one number, or one for structure and one '
        'for texture [1]',
    )
    parser.add_argument('--out', metavar='DIR', required=True, help='folder for PNGs')
    parser.add_argument('--maps', metavar='DIR', help='also draw correspondence maps')


def _add_interpolate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('start', metavar='START', help='picture, or seed:N')
    parser.add_argument('end', metavar='END', help='picture, or seed:N')
    parser.add_argument(
        '--part',
        choices=('structure', 'texture', 'both'),
        default='structure',
        help='what changes; the rest stays as in START [structure]',
    )
    parser.add_argument('--frames', type=int, default=16, help='pictures, both ends included [16]')
    parser.add_argument(
        '--fps',
        type=_rate,
        help='frames per second of GIFs, 1..50; these count in 1/100 s: 30 becomes 33.3 [10]',
    )
    parser.add_argument(
        '--out',
        metavar='FILE.gif|DIR',
        required=True,
        help='an animation, in which frames that are equal become one, or a folder for PNGs',
    )
    add_refining(parser)


def _add_pictures(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('pictures', nargs='+', metavar='PICTURES', help='files and folders')


def _add_matching(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--temperature',
        type=float,
        help="softness of correspondence at the size of the model's maps; 0: nearest pixel "
        "[what the checkpoint's config evaluates label transfer with, else 0.01 * 128 / width]",
    )


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--batch-size', type=int, default=8, metavar='N', help='pictures encoded together [8]'
    )
    parser.add_argument(
        '--keep-extension', action='store_true', help='name results a.jpg.png instead of a.png'
    )
    add_refining(parser)


def _add_overwriting(parser: argparse.ArgumentParser, skipping: bool = False) -> None:
    group = parser.add_mutually_exclusive_group()
    group.add_argument('--force', action='store_true', help='overwrite results')
    if skipping:
        group.add_argument(
            '--skip-existing', action='store_true', help='leave out pictures whose result exists'
        )


def add_refining(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--refine',
        type=int,
        default=0,
        metavar='STEPS',
        help='improve codes by so many steps of gradient descent; slower, often better [0]',
    )
    parser.add_argument(
        '--vgg-weights', metavar='FILE', help='VGG16 weights, to refine where the model uses LPIPS'
    )


def add_common(parser: argparse.ArgumentParser, skipping: bool = False) -> None:
    parser.add_argument('--config', metavar='FILE', help='for a checkpoint without its config')
    parser.add_argument('--device', help='cpu, cuda, cuda:1 ... [a GPU if there is one]')
    _add_overwriting(parser, skipping)
    parser.add_argument('--quiet', action='store_true', help='no progress bar')


def _rate(text: str) -> float:
    value = float(text)
    if not 1 <= value <= 50:
        raise argparse.ArgumentTypeError(f'must lie in 1..50, but is {text}')
    return value
