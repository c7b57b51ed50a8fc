"""What is fuzzed: each target makes an input from a random source, tries it, and names the outcome.

An exception other than the clear errors that users are promised passes through, and is a finding.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

import torch
from mutation import IMAGE, MARKER, checkpoints, images, labels, mutated, points

from mmcoordgan.apis import load_trained
from mmcoordgan.cli.points import read_points
from mmcoordgan.datasets import BrokenImageError, LoadImage, PackInputs
from mmcoordgan.datasets.celebamask_hq import mask_path, paint_labels, read_packed_labels
from mmcoordgan.datasets.keypoint_files import read_keypoints
from mmcoordgan.datasets.label_files import read_labels
from mmcoordgan.datasets.transforms import RandomFlip
from mmcoordgan.io.files import load_checkpoint
from mmcoordgan.zoo import model_path

NUM_CLASSES = 7


class Finding(Exception):
    """A property that does not hold."""


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise Finding(message)


def _try(
    random: Random,
    seeds: Iterable[bytes],
    path: str,
    read: Callable[[str], Any],
    clear: Any = (OSError, ValueError),
) -> str:
    """Read a damaged copy of a seed: it runs no code, and errors are ``clear`` and name it."""
    Path(path).write_bytes(mutated(random, list(seeds)))
    outcome = 'loaded'
    try:
        read(path)
    except clear as error:
        _require(path in str(error), f'an error that does not name {path}: {error}')
        _require(not isinstance(error.__cause__, MemoryError), f'out of memory: {error}')
        outcome = 'clear error'
    _require(not os.path.exists(MARKER), 'the file ran code')
    return outcome


def image(random: Random) -> str:
    """A file through the pipeline of the published configs, or at its own size."""
    size = random.choice((None, 1, 32, 128))

    def read(path: str) -> None:
        results = LoadImage(size=size)({'img_path': path})
        height, width = results['ori_shape']
        wanted = (height, width, 3) if size is None else (size, size, 3)
        _require(results['img'].shape == wanted, f'{results["img"].shape} is not {wanted}')
        inputs = PackInputs()(RandomFlip(prob=0.5)(results))['inputs']
        _require(inputs.shape == (3, *wanted[:2]), f'packed as {tuple(inputs.shape)}')

    return _try(random, images().values(), 'input ü.png', read, BrokenImageError)


def mask(random: Random) -> str:
    """A file as packed labels, as the mask of a part, and as labels of DatasetGAN."""
    part = mask_path('.', 1, 'skin')
    os.makedirs(os.path.dirname(part), exist_ok=True)
    readers = {
        'label': ('labels.png', lambda path: read_packed_labels(path, NUM_CLASSES)),
        'mask': (part, lambda path: paint_labels('.', 1, NUM_CLASSES)),
        'array': ('mask.npy', lambda path: read_labels(path, NUM_CLASSES)[0]),
    }
    kind = random.choice(list(readers))
    seeds = [
        content
        for name, content in labels(NUM_CLASSES).items()
        if name.startswith(kind) or random.random() < 0.1
    ]

    def read(path: str) -> None:
        found = readers[kind][1](path)
        _require(found.ndim == 2 and found.dtype.kind in 'iu', f'{found.shape} {found.dtype}')
        _require(0 <= found.min() <= found.max() < NUM_CLASSES, f'labels up to {found.max()}')

    return _try(random, seeds, readers[kind][0], read)


def checkpoint(random: Random) -> str:
    """A damaged checkpoint holds what it held, or is refused."""
    return _try(random, checkpoints().values(), 'input.pth', load_checkpoint, ValueError)


def config(random: Random) -> str:
    """The damaged text of a config in a checkpoint builds what it describes, or is refused."""
    content = load_checkpoint(str(model_path('toyfaces_32')))

    def read(path: str) -> None:
        text = Path(path).read_text('utf-8', 'replace')
        torch.save({**content, 'meta': {'cfg': text}}, path)
        load_trained(path)

    return _try(random, [content['meta']['cfg'].encode()], 'input.pth', read, ValueError)


def point_file(random: Random) -> str:
    """Points of one image or of many are finite pairs, or not visible, or refused."""
    kind, seeds = random.choice(('one', 'many')), points()
    path = random.choice([name for name in seeds if name.startswith(kind)])

    def read(path: str) -> None:
        arrays = [read_points(path, IMAGE)[1]] if kind == 'one' else read_keypoints(path).values()
        shapes = {array.shape[1:] for array in arrays}
        _require(shapes == {(2,)}, f'points of shape {shapes}')

    return _try(random, [seeds[n] for n in seeds if n[-4:] == path[-4:]], path, read)


TARGETS = dict(image=image, mask=mask, checkpoint=checkpoint, config=config, points=point_file)
