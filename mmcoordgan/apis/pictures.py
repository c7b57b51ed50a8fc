"""Pictures for the networks: from files, folders and arrays, one after the other."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, Callable, NamedTuple, Union

import numpy as np
from PIL import Image

from mmcoordgan.datasets import BrokenImageError, LoadImage
from mmcoordgan.datasets.image_folder import IMAGE_EXTENSIONS, list_images
from mmcoordgan.datasets.loading import read_rgb

Source = Union[str, os.PathLike, np.ndarray]
Sources = Union[Source, Iterable[Source]]
OnBroken = Callable[[str, Exception], Any]
# Of all formats that are read; data sets for training look for the most common ones only.
EXTENSIONS = (*IMAGE_EXTENSIONS, '.gif', '.jp2', '.pgm', '.ppm', '.tif', '.tiff')


class Picture(NamedTuple):
    """A picture, squeezed to the square that the networks see."""

    name: str
    """Its path, or what it is called where it came as an array."""
    image: np.ndarray
    """(S, S, 3) uint8 RGB."""
    shape: tuple[int, int]
    """(H, W) of the upright picture itself."""


def iter_sources(inputs: Sources) -> Iterator[Source]:
    """Single pictures of whatever :class:`~mmcoordgan.apis.CoordGANInferencer` takes.

    Args:
        inputs: A path of a picture or folder, an array (H, W, 3) or (N, H, W, 3), or any iterable
            of these, also an endless one.

    Raises:
        ValueError: If a folder holds no picture.
        TypeError: If an element is something else.
    """
    if isinstance(inputs, (str, os.PathLike)):
        path = os.fspath(inputs)
        yield from folder_pictures(path) if os.path.isdir(path) else [path]
    elif isinstance(inputs, np.ndarray) and inputs.ndim <= 3:
        yield inputs
    elif isinstance(inputs, Iterable):
        for element in inputs:
            yield from iter_sources(element)
    else:
        raise TypeError(
            'pictures must be paths, folders or arrays (H, W, 3) uint8 RGB, or iterables of '
            f'these, but got a {type(inputs).__name__}'
        )


def known(inputs: Sources) -> tuple[Sources, int | None]:
    """The same pictures and their number; None where only reading on can tell."""
    if not isinstance(inputs, (str, os.PathLike, np.ndarray, list, tuple)):
        return inputs, None
    sources = list(iter_sources(inputs))
    return sources, len(sources)


def folder_pictures(folder: str) -> list[str]:
    """Paths of the pictures in a folder and below, in lexicographic order.

    Raises:
        ValueError: If there are none.
    """
    found = list_images(folder, EXTENSIONS)
    if not found:
        raise ValueError(f"the folder '{folder}' and its subfolders hold no picture")
    return [os.path.join(folder, path) for path in found]


def iter_pictures(
    inputs: Sources, size: int, on_broken: OnBroken | None = None, kind: str = 'picture'
) -> Iterator[Picture]:
    """Read pictures one at a time, as :class:`~mmcoordgan.datasets.LoadImage` does.

    Args:
        inputs: See :func:`iter_sources`.
        size: Side of the squares.
        on_broken: Called with the name of an unreadable picture and the error, and the picture is
            left out. None raises the error.
        kind: Arrays are named by it and their number.

    Raises:
        BrokenImageError: If a picture cannot be read; names it.
        ValueError: If an array is no RGB picture of bytes.
    """
    load = LoadImage(size=size)
    for number, source in enumerate(iter_sources(inputs)):
        if isinstance(source, np.ndarray):
            yield _from_array(source, size, f'{kind} {number}')
            continue
        try:
            found = load.transform({'img_path': os.fspath(source)})
        except BrokenImageError as error:
            if on_broken is None:
                raise
            on_broken(os.fspath(source), error)
            continue
        yield Picture(os.fspath(source), found['img'], found['ori_shape'])


def read_picture(source: Source, size: int, name: str = 'picture 0') -> Picture:
    """The one picture of ``source``.

    Args:
        source: A path or an array.
        size: Side of the square.
        name: Of an array.

    Raises:
        ValueError: If it is a folder, or no picture; see :func:`iter_pictures`.
    """
    is_path = isinstance(source, (str, os.PathLike))
    if is_path and os.path.isdir(source):  # type: ignore[arg-type]
        raise ValueError(f'{os.fspath(source)} is a folder: one picture is needed here')  # type: ignore[arg-type]
    if isinstance(source, np.ndarray) and source.ndim <= 3:
        return _from_array(source, size, name)
    found = list(iter_pictures([source], size))
    if len(found) != 1:
        raise ValueError(f'one picture is needed here, but got {len(found)}')
    return found[0]


def original(source: Source) -> np.ndarray:
    """A picture at its own size, (H, W, 3) uint8 RGB."""
    return source if isinstance(source, np.ndarray) else read_rgb(os.fspath(source))


def resize_to(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A picture (h, w, 3) uint8 at another height and width; bilinear, antialiased."""
    if image.shape[:2] == tuple(shape):
        return image
    size = (shape[1], shape[0])
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def _from_array(image: np.ndarray, size: int, name: str) -> Picture:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(
            f'{name} must be an array (H, W, 3) of uint8 in RGB order, but is {image.shape} of '
            f'{image.dtype}'
        )
    return Picture(name, resize_to(image, (size, size)), image.shape[:2])
