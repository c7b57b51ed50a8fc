"""What is fuzzed: each target makes an input from a random source, tries it, and names the outcome.

An exception other than the clear errors that users are promised passes through, and is a finding.
"""

import os
from pathlib import Path
from random import Random
from typing import Any

from mutation import IMAGE, MARKER, checkpoints, images, labels, mutated, points

from mmcoordgan.cli.points import read_points
from mmcoordgan.datasets import BrokenImageError, LoadImage, PackInputs
from mmcoordgan.datasets.celebamask_hq import mask_path, paint_labels, read_packed_labels
from mmcoordgan.datasets.keypoint_files import read_keypoints
from mmcoordgan.datasets.label_files import read_labels
from mmcoordgan.datasets.transforms import RandomFlip
from mmcoordgan.io.files import load_checkpoint

NUM_CLASSES = 7


class Finding(Exception):
    """A property that does not hold."""


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise Finding(message)


def _refusal(error: Exception, path: str) -> str:
    """The outcome of a clear error: it names the file, and no memory ran out."""
    _require(path in str(error), f'an error that does not name {path}: {error}')
    _require(not isinstance(error.__cause__, MemoryError), f'out of memory: {error}')
    return 'clear error'


def image(random: Random) -> str:
    """A file through the pipeline of the published configs, or at its own size."""
    content = mutated(random, list(images().values()))
    path = 'input ü.png'
    Path(path).write_bytes(content)
    size = random.choice((None, 1, 32, 128))
    try:
        results = LoadImage(size=size)({'img_path': path})
        height, width = results['ori_shape']
        wanted = (height, width, 3) if size is None else (size, size, 3)
        _require(results['img'].shape == wanted, f'{results["img"].shape} is not {wanted}')
        inputs = PackInputs()(RandomFlip(prob=0.5)(results))['inputs']
        _require(inputs.shape == (3, *wanted[:2]), f'packed as {tuple(inputs.shape)}')
        outcome = 'loaded'
    except BrokenImageError as error:
        outcome = _refusal(error, path)
    _require(not os.path.exists(MARKER), 'the file ran code')
    return outcome


def mask(random: Random) -> str:
    """A file as packed labels, as the mask of a part, and as labels of DatasetGAN."""
    part = mask_path('.', 1, 'skin')
    readers: list[tuple[str, str, Any]] = [
        ('label', 'labels.png', lambda: read_packed_labels('labels.png', NUM_CLASSES)),
        ('mask', part, lambda: paint_labels('.', 1, NUM_CLASSES)),
        ('array', 'mask.npy', lambda: read_labels('mask.npy', NUM_CLASSES)[0]),
    ]
    kind, path, read = random.choice(readers)
    seeds = [
        content
        for name, content in labels(NUM_CLASSES).items()
        if name.startswith(kind) or random.random() < 0.1
    ]
    os.makedirs(os.path.dirname(part), exist_ok=True)
    Path(path).write_bytes(mutated(random, seeds))
    try:
        found = read()
        _require(found.ndim == 2 and found.dtype.kind in 'iu', f'{found.shape} {found.dtype}')
        _require(0 <= found.min() <= found.max() < NUM_CLASSES, f'labels up to {found.max()}')
        outcome = 'loaded'
    except (OSError, ValueError) as error:
        outcome = _refusal(error, path)
    _require(not os.path.exists(MARKER), 'the file ran code')
    return outcome


def checkpoint(random: Random) -> str:
    """A damaged checkpoint holds what it held, or is refused."""
    path = 'input.pth'
    Path(path).write_bytes(mutated(random, list(checkpoints().values())))
    try:
        load_checkpoint(path)
        outcome = 'loaded'
    except ValueError as error:
        outcome = _refusal(error, path)
    _require(not os.path.exists(MARKER), 'the file ran code')
    return outcome


def point_file(random: Random) -> str:
    """Points of one image or of many are finite pairs, or not visible, or refused."""
    kind, seeds = random.choice(('one', 'many')), points()
    path = random.choice([name for name in seeds if name.startswith(kind)])
    Path(path).write_bytes(mutated(random, [seeds[n] for n in seeds if n[-4:] == path[-4:]]))
    try:
        arrays = [read_points(path, IMAGE)[1]] if kind == 'one' else read_keypoints(path).values()
        shapes = {array.shape[1:] for array in arrays}
        _require(shapes == {(2,)}, f'points of shape {shapes}')
        outcome = 'loaded'
    except (OSError, ValueError) as error:
        outcome = _refusal(error, path)
    _require(not os.path.exists(MARKER), 'the file ran code')
    return outcome


TARGETS = dict(image=image, mask=mask, checkpoint=checkpoint, points=point_file)
