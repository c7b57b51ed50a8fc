"""Read image files of unknown origin."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.fileio import get
from PIL import Image, ImageOps, PngImagePlugin

from mmcoordgan.registry import TRANSFORMS

# Pillow guesses the format from the content. Only image formats are allowed: some of the others
# run external programs on the file (EPS) or are containers that hold no pixels at all.
FORMATS = ('BMP', 'GIF', 'JPEG', 'JPEG2000', 'PNG', 'PPM', 'TIFF', 'WEBP')
_ALPHA_MODES = ('RGBA', 'RGBa', 'LA', 'La', 'PA')
# Pillow refuses color profiles and texts of more than 1 MiB, which some cameras and editors write.
PngImagePlugin.MAX_TEXT_CHUNK = 2**26


class BrokenImageError(OSError):
    """An image file that cannot be read; the message names the file."""


def check_regular(path: str) -> None:
    """Raise OSError for pipes, devices and folders, from which reading may never end."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(f'{path} is no regular file')


@contextmanager
def open_image(path: str, what: str = 'image') -> Iterator[Image.Image]:
    """Open an image file of one of the ``FORMATS``; its pixels are decoded in the block.

    The file is read as a whole: a decoder that meets a wrong length would otherwise allocate as
    much memory as it claims. Any error, also in the block, is a BrokenImageError that names it.
    """
    try:
        check_regular(path)
        content = get(path)
        if not content:
            raise ValueError('the file is empty (0 bytes)')
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            yield image
    except Image.UnidentifiedImageError as error:
        raise BrokenImageError(
            f'cannot read {what} {path}: not an image file of a known format: convert it to one of '
            f'{", ".join(FORMATS)}'
        ) from error
    except Exception as error:  # decoders raise SyntaxError, struct.error, EOFError, ...
        raise BrokenImageError(
            f'cannot read {what} {path}: {type(error).__name__}: {error}'
        ) from error


def grey_levels(image: Image.Image) -> np.ndarray:
    """(H, W) uint8 from 16-bit grey, which Pillow would clip at 255, by rounding."""
    values = np.asarray(image).astype(np.int32)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError(f'grey values outside 0..65535 (mode {image.mode})')
    return ((values + 128) // 257).astype(np.uint8)


def _to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB, transparent pixels on white."""
    if image.mode.startswith('I'):
        rgb = Image.fromarray(grey_levels(image)).convert('RGB')
        hidden = image.info.get('transparency')
        if isinstance(hidden, int):
            rgb.paste('white', mask=Image.fromarray(np.asarray(image) == hidden))
        return rgb
    if image.mode == 'F':
        raise ValueError('floating point images have no defined range of values')
    if image.mode in _ALPHA_MODES or 'transparency' in image.info:
        rgba = image.convert('RGBA')
        canvas = Image.new('RGBA', rgba.size, 'white')
        return Image.alpha_composite(canvas, rgba).convert('RGB')
    return image if image.mode == 'RGB' else image.convert('RGB')


def image_shape(path: str) -> tuple[int, int]:
    """Height and width of an upright image, from its file's header."""
    with open_image(path) as image:
        turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        return image.size if turned else image.size[::-1]


def turn_upright(image: Image.Image) -> None:
    """Apply the EXIF orientation in place, if it can be read."""
    image.load()  # errors of the pixels are not those of the EXIF data
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except Exception:  # viewers show such images as they are stored
        return


@TRANSFORMS.register_module()
@dataclass(eq=False)
class LoadImage(BaseTransform):
    """Read an image file as 8-bit RGB, as a viewer shows it.

    Reads the first frame, turns it upright by its EXIF orientation, converts grey, palette, CMYK
    and 16-bit images to RGB and lays transparent images on white. Color profiles are ignored.
    With ``size`` the image becomes a square of that side by Pillow's antialiased bilinear
    resizing, without keeping its aspect ratio, in half the time of mmcv's ``Resize`` and with the
    same pixels.

    Reads ``img_path``. Sets ``img`` (H, W, 3) uint8 **in RGB order** (mmcv's loader gives BGR),
    ``img_shape`` and the shape of the upright image ``ori_shape``, both (H, W); with ``size`` also
    ``scale_factor``, the factors of width and height.

    BrokenImageError names a file that is missing, damaged, too large for Pillow, or not in one of
    the ``FORMATS``.
    """

    size: int | None = None

    def transform(self, results: dict) -> dict:
        with open_image(results['img_path']) as image:
            turn_upright(image)
            width, height = image.size
            rgb = _to_rgb(image)
            if self.size is not None:
                rgb = rgb.resize((self.size, self.size), Image.Resampling.BILINEAR)
                results['scale_factor'] = (self.size / width, self.size / height)
            results['img'] = np.array(rgb)
        results['img_shape'] = results['img'].shape[:2]
        results['ori_shape'] = (height, width)
        return results


def read_rgb(path: str) -> np.ndarray:
    """Read one image file as :class:`LoadImage` does: (H, W, 3) uint8, RGB."""
    image: np.ndarray = LoadImage().transform({'img_path': path})['img']
    return image
