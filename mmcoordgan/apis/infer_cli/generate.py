"""Verbs that make pictures: swap-texture, sample, interpolate."""

from __future__ import annotations

import argparse
import os

import numpy as np
from PIL import Image

from mmcoordgan.apis.codes import check_way, truncation_pair
from mmcoordgan.apis.pictures import EXTENSIONS
from mmcoordgan.engine.checkpoint_files import atomic_file
from mmcoordgan.engine.launch import LaunchError
from mmcoordgan.visualization import coords_to_colors

from .loading import explained, load, settings
from .outputs import (
    Failures,
    check_distinct_folders,
    check_file,
    list_inputs,
    plan_outputs,
    prepare_folder,
    write_png,
)

VIDEOS = ('.apng', '.avi', '.mkv', '.mov', '.mp4', '.webm')


def swap_texture(args: argparse.Namespace, failures: Failures) -> None:
    """One PNG per structure; with several textures, in a folder per texture."""
    structures, textures = list_inputs(args.structure), list_inputs(args.texture)
    plans = []
    for name in textures.values():
        stem = os.path.splitext(name)[0]
        folder = args.out if len(textures) == 1 else os.path.join(args.out, stem)
        plans.append(
            plan_outputs(
                structures,
                folder,
                '.png',
                folders=[*args.structure, *args.texture],
                protected=textures,
                keep_extension=args.keep_extension,
                force=args.force,
            )
        )
    _check_folders(list(textures), plans)
    prepare_folder(args.out)
    inferencer = load(args)
    with explained():
        rows = inferencer.iter_swap_texture(
            list(structures), list(textures), **settings(args, failures)
        )
    for row in rows:
        for planned, found in zip(plans, row):
            failures.write(found.name, planned[found.name], write_png, found.image)


def sample(args: argparse.Namespace, failures: Failures) -> None:
    """One PNG per seed; maps on request."""
    given = args.truncation
    with explained():
        shares = truncation_pair(given[0] if len(given) == 1 else tuple(given))
    if args.number < 1 or not 0 <= args.seed <= 2**63 - args.number:
        raise LaunchError('-n must be at least 1, and seeds lie in 0..2**63 - 1')
    digits = max(4, len(str(args.seed + args.number - 1)))
    names = [f'seed{seed:0{digits}}' for seed in range(args.seed, args.seed + args.number)]
    check_distinct_folders(names, args.out, args.maps)
    plans = {}
    for folder in filter(None, (args.out, args.maps)):
        named = {name: name for name in names}
        plans[folder] = plan_outputs(named, folder, '.png', force=args.force)
        prepare_folder(folder)
    inferencer = load(args)
    for name, found in zip(names, inferencer.iter_sample(args.number, args.seed, shares)):
        write_png(plans[args.out][name], found.image)
        if args.maps is not None:
            write_png(plans[args.maps][name], coords_to_colors(found.coords))


def interpolate(args: argparse.Namespace, failures: Failures) -> None:
    """A GIF, or a folder of frames."""
    with explained():
        check_way(args.frames, args.part)
        start, end = _end(args.start), _end(args.end)
    if args.refine and isinstance(start, int) and isinstance(end, int):
        raise LaunchError('--refine improves codes of pictures, but both ends are seeds: drop it')
    as_gif = args.out.lower().endswith('.gif')
    if args.fps is not None and not as_gif:
        raise LaunchError(f'--fps is for GIFs, but --out {args.out} is a folder: drop --fps')
    if not as_gif and os.path.splitext(args.out)[1].lower() in (*EXTENSIONS, *VIDEOS):
        raise LaunchError(f'--out {args.out} must be a .gif, or a folder for PNG files')
    ends = (args.start, args.end)
    planned: dict[str, str] = {}
    if as_gif:
        check_file(args.out, ['.gif'], force=args.force, protected=ends)
    else:
        named = {name: name for name in (f'frame{n:04}' for n in range(args.frames))}
        planned = plan_outputs(named, args.out, '.png', protected=ends, force=args.force)
        prepare_folder(args.out)
    inferencer = load(args)
    with explained():
        frames = inferencer.iter_interpolate(
            start, end, args.frames, part=args.part, refine=args.refine
        )
    if as_gif:
        write_gif(args.out, [found.image for found in frames], args.fps or 10.0)
        return
    for path, found in zip(planned.values(), frames):
        write_png(path, found.image)


def write_gif(path: str, images: list[np.ndarray], fps: float) -> None:
    """Write pictures (H, W, 3) uint8 as an endless animation, to the nearest 1/100 s a frame."""
    first, *others = [Image.fromarray(image) for image in images]
    duration = 10 * round(100 / fps)
    with atomic_file(path) as file:
        first.save(file, 'GIF', save_all=True, append_images=others, duration=duration, loop=0)


def _end(text: str) -> str | int:
    """A picture, or the seed in ``seed:7``."""
    if not text.startswith('seed:') or os.path.lexists(text):
        return text
    number = text[len('seed:') :]
    if not (number.isascii() and number.isdigit()) or int(number) >= 2**63:
        raise ValueError(f'{text} names no seed: write seed: and an integer in 0..2**63 - 1')
    return int(number)


def _check_folders(textures: list[str], plans: list[dict[str, str]]) -> None:
    owners: dict[str, str] = {}
    for texture, planned in zip(textures, plans):
        for path in planned.values():
            other = owners.setdefault(path, texture)
            if other != texture:
                raise LaunchError(
                    f'results with the textures {other} and {texture} would both be {path}: give '
                    'them other names'
                )
