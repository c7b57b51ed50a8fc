"""Use a trained checkpoint on images: the command line of ``CoordGANInferencer``.

A verb is a generator that yields once: before, it checks what the user asks for; after, it works.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from mmcoordgan.apis import CoordGANInferencer
from mmcoordgan.apis.images import original
from mmcoordgan.datasets.label_files import full_palette, label_image, read_labels
from mmcoordgan.errors import UserError, explained, explained_errors, printable
from mmcoordgan.visualization import coords_to_colors, draw_matches, draw_points, overlay_labels

from .infer_options import build_parser
from .launch import forbid_unsafe_loading
from .outputs import OutputFolder, name_results
from .points import read_painted, read_points


def encode(args: argparse.Namespace, out: OutputFolder) -> Iterator[None]:
    """Write what the encoder finds in images: codes/NAME.npz with structure_w, texture_w, coords
    (the correspondence map (2, h, w), x first, in (-1, 1)) and shape (height and width).

    infer.py encode stage2.pth photos/ --out found/ --overview
    """
    names = name_results(args.images)
    model = load(args, out)
    images = out.still_to_do(names, 'codes/{}.npz')
    results = model.iter_encode(images, **batches(args, out))
    yield
    for found in results:
        name = names[found.name]
        if args.overview:
            out.save(found.name, f'overview/{name}.png', model.overview(found))
        out.save(found.name, f'codes/{name}.npz', arrays_of(found))


def correspond(args: argparse.Namespace, out: OutputFolder) -> Iterator[None]:
    """Find for each pixel of A the matching position in B: matches.npz with matches (2, H, W), x
    and y in pixels of B; cycle_distance (H, W), how far from the pixel the way to B and back ends,
    as a fraction of A's sides; expected_error (H, W) in pixels of B, if the model's file has such;
    and confidence (H, W), 0 where the error is a tenth of the side. The image matches.png shows A,
    B, B's colours where they belong in A, and the confidence (white: sure).

    infer.py correspond stage2.pth anna.jpg bob.jpg --out matches/
    """
    found = load(args, out).correspond(args.a, args.b, refine=args.refine)
    yield
    out.save(args.a, 'matches.npz', arrays_of(found))

    def drawn() -> np.ndarray:
        return draw_matches(original(args.a), original(args.b), found.matches, found.confidence)

    out.save(args.a, 'matches.png', drawn)


def transfer_labels(args: argparse.Namespace, out: OutputFolder) -> Iterator[None]:
    """Label images from one labelled image, or from several, whose label probabilities are
    averaged: labels/NAME.png are palette images, in the colours of the first mask that has some. A
    mask is a palette or grey PNG (or .npy) of the size of its image, with a label in 0..255 per
    pixel, or a file that the explorer saved on a page with the image.

    infer.py transfer-labels stage2.pth photos/ --reference anna.jpg anna_mask.png --out labelled/
    infer.py transfer-labels stage2.pth photos/ --out labelled/ --overlay --ignore-label 255 \\
        --reference anna.jpg anna_mask.png --reference bob.jpg correspondences.json
    """
    names = name_results(args.images)
    references = [image for image, _ in args.reference]
    masks, colors = [], None
    for image, mask in args.reference:
        if mask.lower().endswith('.json'):
            masks.append(read_painted(mask, image, original(image).shape[:2]))
        else:
            labels, own = read_labels(mask)
            masks.append(labels)
            colors = own if colors is None else colors
    palette = full_palette(colors)
    images = out.still_to_do(names, 'labels/{}.png')
    settings = dict(ignore_label=args.ignore_label, **batches(args, out))
    results = load(args, out).iter_transfer_labels(references, masks, images, **settings)
    yield
    for found in results:
        image, name = found.name, names[found.name]
        if args.overlay:
            out.save(image, f'overlay/{name}.png', partial(overlaid, found, palette, args.scale))
        if args.probabilities:
            arrays = dict(probabilities=found.probabilities, classes=found.classes)
            out.save(image, f'probabilities/{name}.npz', arrays)
        out.save(image, f'labels/{name}.png', label_image(found.labels, palette))


def transfer_points(args: argparse.Namespace, out: OutputFolder) -> Iterator[None]:
    """Carry points of an image to others. Points are x, y in pixels, (0, 0) being the centre of the
    top left one: a CSV whose header names the columns x, y and optionally label, or a file that the
    explorer saved. Results in points.csv: picture, label, x, y, confidence in 0..1, and the
    expected error in pixels, if the model's file has such.

    infer.py transfer-points stage2.pth photos/ --reference anna.jpg --points anna.csv --out found/
    """
    names = name_results(args.images)
    labels, points = read_points(args.points, args.reference)
    results = load(args, out).iter_transfer_points(
        args.reference, points, list(names), **batches(args, out)
    )
    yield
    columns = ('picture', 'label', 'x', 'y', 'confidence', 'expected_error')
    for found in results:
        rows = []
        for number, label in enumerate(labels):
            x, y = found.points[number]
            place = f'{x:.3f}', f'{y:.3f}', f'{found.confidence[number]:.4f}'
            error = '' if found.expected_error is None else f'{found.expected_error[number]:.2f}'
            rows.append((found.name, label, *place, error))
        out.add('points.csv', columns, rows)
        if args.overlay:
            name = f'overlay/{names[found.name]}.png'
            out.save(found.name, name, partial(pointed, found, args.scale))


def swap_texture(args: argparse.Namespace, out: OutputFolder) -> Iterator[None]:
    """Paint the structure of images with the texture of others: images/TEXTURE/STRUCTURE.png, of
    the size of the structure's image. Memory grows with the number of textures.

    infer.py swap-texture stage2.pth --structure photos/ --texture anna.jpg --out swapped/
    """
    structures, textures = name_results(args.structure), name_results(args.texture)
    model = load(args, out)
    rows = model.iter_swap_texture(list(structures), list(textures), **batches(args, out))
    yield
    for row in rows:
        for texture, found in zip(textures.values(), row):
            name = f'images/{texture}/{structures[found.name]}.png'
            out.save(found.name, name, enlarged(found.image, args.scale))


def sample(args: argparse.Namespace, out: OutputFolder) -> Iterator[None]:
    """Generate images, with checkpoints of either stage: images/seedN.png. An image depends on its
    seed alone.

    infer.py sample stage1.pth -n 64 --seed 0 --truncation 0.7 --out samples/
    infer.py sample stage1.pth -n 8 --truncation 1 0 --out one_texture/ --maps
    """
    truncation = args.truncation[0] if len(args.truncation) == 1 else args.truncation
    results = load(args).iter_sample(args.number, args.seed, truncation)
    yield
    digits = max(4, len(str(args.seed + args.number - 1)))
    for seed, found in enumerate(results, args.seed):
        name = f'seed{seed:0{digits}}.png'
        out.save(name, f'images/{name}', enlarged(found.image, args.scale))
        if args.maps:
            out.save(name, f'maps/{name}', enlarged(coords_to_colors(found.coords), args.scale))


def interpolate(args: argparse.Namespace, out: OutputFolder) -> Iterator[None]:
    """Change the structure or the texture of an image step by step into another's. START and END
    are images, or seeds of samples, written seed:7. Writes frames/frameN.png and frames.gif.

    infer.py interpolate stage2.pth anna.jpg bob.jpg --out way/
    infer.py interpolate stage1.pth seed:3 seed:8 --part texture --frames 60 --out way/
    """
    start, end = seed_or_image(args.start), seed_or_image(args.end)
    if not 1 <= args.fps <= 50:
        raise UserError(f'--fps must lie in 1..50, but is {args.fps}')
    if args.refine and isinstance(start, int) and isinstance(end, int):
        raise UserError('--refine improves codes of images, but both ends are seeds: drop it')
    settings = dict(part=args.part, refine=args.refine)
    frames = load(args, out).iter_interpolate(start, end, args.frames, **settings)
    yield
    images = []
    for number, found in enumerate(frames):
        images.append(Image.fromarray(enlarged(found.image, args.scale)))
        out.save(args.start, f'frames/frame{number:04}.png', images[-1])
    gif = dict(save_all=True, loop=0, duration=10 * round(100 / args.fps), append_images=images[1:])
    out.save(args.start, 'frames.gif', images[0], **gif)


_VERBS = encode, correspond, transfer_labels, transfer_points, swap_texture, sample, interpolate
VERBS: dict[str, Any] = {verb.__name__.replace('_', '-'): verb for verb in _VERBS}
INPUTS = ('images', 'a', 'b', 'reference', 'points', 'structure', 'texture', 'start', 'end', 'crop')


def run(program: str = 'infer.py', argv: Sequence[str] | None = None) -> int:
    """Do what the command line (default: this process's) asks for.

    Returns the exit code: 0, or 1 if images could not be read. Requests that cannot be met end the
    process with exit code 2, errors of the disk with 1, Ctrl-C with 130.
    """
    args = build_parser(program, VERBS).parse_args(argv)
    options = vars(args)
    with explained_errors(program):
        forbid_unsafe_loading()
        if options.get('scale', 1) < 1:
            raise UserError(f'--scale must be at least 1, but is {args.scale}')
        given = (np.ravel(options.get(name) or []) for name in INPUTS)
        inputs = [path for paths in given for path in paths.tolist()]
        out = OutputFolder(args.out, inputs, args.force, options.get('skip_existing', False))
        try:
            steps = VERBS[args.verb](args, out)
            with explained():
                next(steps)
            next(steps, None)
        finally:
            code = out.report(program)
    if not args.quiet:
        kept = f', {out.skipped} results of an earlier run' if out.skipped else ''
        print(printable(f'{args.out}: {len(out.written)} files{kept}'))
    return code


def load(args: argparse.Namespace, out: OutputFolder | None = None) -> CoordGANInferencer:
    """The inferencer that the options describe; tells ``out`` of doubtful images."""
    options = vars(args)
    vgg_weights = options.get('vgg_weights')
    if vgg_weights is not None and not args.refine:
        raise UserError('--vgg-weights serves to refine codes: add --refine STEPS, or drop it')
    model = CoordGANInferencer(
        args.config,
        args.checkpoint,
        args.device,
        show_progress=not args.quiet,
        temperature=options.get('temperature'),
        vgg_weights=vgg_weights,
        check_domain=not options.get('no_domain', True),
        crop=options.get('crop'),
    )
    if out is not None:
        model.encoder.on_domain = out.judge
    return model


def batches(args: argparse.Namespace, out: OutputFolder) -> dict[str, Any]:
    """What the options say about reading many images."""
    return dict(batch_size=args.batch_size, refine=args.refine, on_broken=out.fail)


def arrays_of(found: Any) -> dict[str, Any]:
    """What a result holds that other programs read."""
    left_out = ('name', 'image', 'domain', 'domains')
    pairs = found._asdict().items()
    return {key: value for key, value in pairs if value is not None and key not in left_out}


def seed_or_image(text: str) -> str | int:
    """The path of an image, or the seed in ``seed:7``."""
    if not text.startswith('seed:') or os.path.lexists(text):
        return text
    if not text[len('seed:') :].isdecimal():
        raise ValueError(f'{text} names no seed: write seed: and an integer in 0..2**63 - 1')
    return int(text[len('seed:') :])


def overlaid(found: Any, palette: np.ndarray, scale: int) -> np.ndarray:
    """The image at its own size with the colours of its labels, then enlarged."""
    return enlarged(overlay_labels(original(found.name), found.labels, palette), scale)


def pointed(found: Any, scale: int) -> np.ndarray:
    """The image with its points, then enlarged."""
    return enlarged(draw_points(original(found.name), found.points), scale)


def enlarged(image: np.ndarray, scale: int) -> np.ndarray:
    """Each pixel ``scale`` times as wide and high."""
    return image.repeat(scale, 0).repeat(scale, 1)
