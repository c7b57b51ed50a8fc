"""Reading image files."""

from __future__ import annotations

import io

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.fileio import get
from PIL import Image, ImageOps

from mmcoordgan.registry import TRANSFORMS

_ALPHA_MODES = ('RGBA', 'RGBa', 'LA', 'La', 'PA')


class BrokenImageError(OSError):
    """An image file that cannot be read; the message names the file."""


def _to_rgb(image: Image.Image, alpha_background: tuple[int, ...]) -> Image.Image:
    if image.mode.startswith('I'):  # 16-bit grey, which Pillow clips at 255 in convert('RGB')
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError(f'grey values outside 0..65535 (mode {image.mode})')
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert('RGB')
    if image.mode == 'F':
        raise ValueError('floating point images have no defined range of values')
    if image.mode in _ALPHA_MODES or 'transparency' in image.info:
        rgba = image.convert('RGBA')
        canvas = Image.new('RGBA', rgba.size, (*alpha_background, 255))
        return Image.alpha_composite(canvas, rgba).convert('RGB')
    return image.convert('RGB')


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Read an image file as 8-bit RGB, as a viewer shows it.

    mmcv's ``LoadImageFromFile`` is not used because it leaves the file's name out of decoding
    errors, saturates 16-bit grey images and ignores transparency (whatever colours hide behind it
    appear). This transform reads the first frame, turns it upright by its EXIF orientation,
    converts grey, palette, CMYK and 16-bit images to RGB, and lays transparent images on one
    colour. Colour profiles are ignored.

    Reads ``img_path``; sets ``img`` (H, W, 3) uint8 **in RGB order** (mmcv's loader gives BGR),
    ``img_shape`` and ``ori_shape``, both (H, W).

    Args:
        alpha_background: RGB colour behind transparent pixels.
        backend_args: Passed to ``mmengine.fileio.get``, for files that are not on a local disk.

    Raises:
        BrokenImageError: If the file is missing, empty, truncated, larger than Pillow's limit for
            decompression bombs, or no image. The message names the file.
    """

    def __init__(
        self,
        *,
        alpha_background: tuple[int, int, int] = (255, 255, 255),
        backend_args: dict | None = None,
    ) -> None:
        self.alpha_background = tuple(alpha_background)
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Add ``img``, ``img_shape`` and ``ori_shape`` to ``results``."""
        image = read_rgb(
            results['img_path'],
            alpha_background=self.alpha_background,
            backend_args=self.backend_args,
        )
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(alpha_background={self.alpha_background})'


def read_rgb(
    path: str,
    *,
    alpha_background: tuple[int, ...] = (255, 255, 255),
    backend_args: dict | None = None,
) -> np.ndarray:
    """Read one image file as :class:`LoadImage` does: (H, W, 3) uint8, RGB."""
    try:
        content = get(path, backend_args=backend_args)
        if not content:
            raise ValueError('the file is empty (0 bytes)')
        with Image.open(io.BytesIO(content)) as image:
            return np.array(_to_rgb(ImageOps.exif_transpose(image), alpha_background))
    except Image.UnidentifiedImageError as error:
        raise BrokenImageError(f'cannot read image {path}: not an image file') from error
    except Image.DecompressionBombError as error:
        raise BrokenImageError(
            f'cannot read image {path}: {error} Shrink the file, or raise '
            'PIL.Image.MAX_IMAGE_PIXELS if you trust it.'
        ) from error
    except Exception as error:  # decoders raise SyntaxError, struct.error, EOFError, ...
        raise BrokenImageError(
            f'cannot read image {path}: {type(error).__name__}: {error}'
        ) from error
