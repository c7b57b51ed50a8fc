"""Images for the networks: from files, folders and arrays, one at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, Callable, NamedTuple, Union

import numpy as np
from PIL import Image

from mmcoordgan.datasets.image_folder import IMAGE_EXTENSIONS, list_images
from mmcoordgan.datasets.loading import read_rgb
from mmcoordgan.errors import UserError

from .cropping import Crop, Cropper, whole

Source = Union[str, os.PathLike, np.ndarray]
Sources = Union[Source, Iterable[Source]]
OnBroken = Callable[[str, Exception], Any]
# All formats that can be read; data sets for training look for the most common ones only.
EXTENSIONS = (*IMAGE_EXTENSIONS, '.gif', '.jp2', '.pgm', '.ppm', '.tif', '.tiff')


class SquareImage(NamedTuple):
    """An image, or a crop of it, squeezed to the square that the networks see."""

    name: str
    """Its path, or its kind and number if it came as an array."""
    image: np.ndarray
    """(S, S, 3) uint8 RGB."""
    crop: Crop
    """Where the square lies in the upright image itself."""


def iter_sources(inputs: Sources) -> Iterator[Source]:
    """Single images of whatever :class:`~mmcoordgan.apis.CoordGANInferencer` takes.

    Paths of images or folders, arrays (H, W, 3) or (N, H, W, 3), or iterables, even endless ones.
    """
    if isinstance(inputs, (str, os.PathLike)):
        path = os.fspath(inputs)
        yield from folder_images(path) if os.path.isdir(path) else [path]
    elif isinstance(inputs, np.ndarray) and inputs.ndim <= 3:
        yield inputs
    elif isinstance(inputs, Iterable):
        for element in inputs:
            yield from iter_sources(element)
    else:
        raise TypeError(f'images are paths, folders or arrays, not {type(inputs).__name__}')


def folder_images(folder: str) -> list[str]:
    """Paths of the images in a folder and below, in lexicographic order; at least one."""
    found = list_images(folder, EXTENSIONS)
    if not found:
        raise UserError(f"the folder '{folder}' holds no file that ends in {' '.join(EXTENSIONS)}")
    return [os.path.join(folder, path) for path in found]


def read_square(
    source: Source, size: int, name: str, cropper: Cropper | None = None
) -> SquareImage:
    """Read one image, a path or an array, as a square of ``size`` pixels a side.

    An array is called ``name``. ``cropper`` finds what is to be seen; default: all of it.
    """
    image, name = original(source), name_of(source, name)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        found = f'{image.dtype} {image.shape}'
        raise ValueError(f'{name} must be an array (H, W, 3) of uint8, RGB, but is {found}')
    crop = whole(image.shape[:2]) if cropper is None else cropper(name, image)
    seen = image if cropper is None else crop.take(image)
    return SquareImage(name, resize_to(seen, (size, size)), crop)


def name_of(source: Source, otherwise: str) -> str:
    """What messages call a source: its path, or ``otherwise`` for an array."""
    return otherwise if isinstance(source, np.ndarray) else os.fspath(source)


def original(source: Source) -> np.ndarray:
    """An image at its own size, (H, W, 3) uint8 RGB."""
    return source if isinstance(source, np.ndarray) else read_rgb(os.fspath(source))


def resize_to(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """An image (h, w, 3) uint8 at another (H, W); bilinear, antialiased."""
    size = (shape[1], shape[0])
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
