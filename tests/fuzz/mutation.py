"""Small files in many formats, and damaged copies of them."""

import io
import json
import os
import pickle
import zlib
from functools import cache
from random import Random

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mmcoordgan.cli.points import EXPLORER
from mmcoordgan.datasets.celebamask_hq import PNG_CLASSES_KEY

MARKER = 'executed'
"""A folder that pickles among the seeds create if they are unpickled."""
IMAGE = 'a.png'
"""The image that the points of one image are of."""
_BOUNDARIES = (0, 1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 100_000, 2**31 - 1, 2**32 - 1)
_PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'


class Payload:
    """Unpickling it runs code."""

    def __reduce__(self):
        return os.mkdir, (MARKER,)


class Bomb:
    """Unpickling it takes 6 GB."""

    def __reduce__(self):
        return bytearray, (6 * 10**9,)


def _saved(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@cache
def checkpoints() -> dict[str, bytes]:
    """Checkpoints in both of PyTorch's formats; one of each runs code, or asks for gigabytes."""
    state = {'state_dict': {'a': torch.arange(6.0), 'b': torch.ones(2, 2)}, 'meta': {'iter': 3}}
    contents = {'plain': state, 'code': {**state, 'x': Payload()}, 'bomb': [Bomb()]}
    found = {}
    for name, content in contents.items():
        for archive in (True, False):
            buffer = io.BytesIO()
            torch.save(content, buffer, _use_new_zipfile_serialization=archive)
            found[f'{name} {archive}'] = buffer.getvalue()
    return found


@cache
def images() -> dict[str, bytes]:
    """Files that Pillow writes from one image in different modes, and some that are no image."""
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 4), dtype=np.uint8)
    pixels[..., :3] //= 2
    rgba = Image.fromarray(pixels)
    rgb, grey, palette = rgba.convert('RGB'), rgba.convert('L'), rgba.convert('RGB').quantize(16)
    deep = Image.fromarray(np.linspace(0, 65535, 384).astype(np.uint16).reshape(16, 24))
    exif = Image.Exif()
    exif[0x0112] = 6
    found = {f'png {image.mode}': _saved(image, 'PNG') for image in (rgb, grey, palette, deep)}
    for mode in ('1', 'LA', 'RGBA'):
        found[f'png {mode}'] = _saved(rgba.convert(mode), 'PNG')
    found['png transparent'] = _saved(palette, 'PNG', transparency=3)
    found['png 16-bit transparent'] = _saved(deep, 'PNG', transparency=0)
    found['png exif'] = _saved(rgb, 'PNG', exif=exif)
    found['png animated'] = _saved(rgba, 'PNG', save_all=True, append_images=[rgba.rotate(9)])
    for image in (rgb, grey, rgb.convert('CMYK')):
        found[f'jpeg {image.mode}'] = _saved(image, 'JPEG', quality=90)
    found['jpeg progressive, exif'] = _saved(rgb, 'JPEG', progressive=True, exif=exif)
    found['gif animated'] = _saved(palette, 'GIF', save_all=True, append_images=[palette.rotate(9)])
    found['gif transparent'] = _saved(palette, 'GIF', transparency=3)
    for lossless in (False, True):
        found[f'webp lossless {lossless}'] = _saved(rgba, 'WEBP', lossless=lossless, exif=exif)
    found['webp animated'] = _saved(rgba, 'WEBP', save_all=True, append_images=[rgba.rotate(9)])
    for image in (rgb, grey, palette, rgba.convert('1')):
        found[f'bmp {image.mode}'] = _saved(image, 'BMP')
    for image in (rgb, deep, rgb.convert('CMYK'), rgb.convert('LAB'), grey.convert('F')):
        found[f'tiff {image.mode}'] = _saved(image, 'TIFF')
    for compression in ('tiff_lzw', 'tiff_adobe_deflate', 'packbits'):
        found[f'tiff {compression}'] = _saved(rgba, 'TIFF', compression=compression)
    found.update(ppm=_saved(rgb, 'PPM'), jpeg2000=_saved(rgb, 'JPEG2000'), eps=_saved(rgb, 'EPS'))
    return {**found, 'empty': b'', 'text': b'no image', 'pickle': pickle.dumps(Payload())}


@cache
def labels(num_classes: int) -> dict[str, bytes]:
    """Label maps as PNG, packed and not, part masks, and NumPy arrays."""
    values = np.random.default_rng(1).integers(0, num_classes, (16, 24), dtype=np.uint8)
    indexed = Image.fromarray(values)
    indexed.putpalette([value for label in range(num_classes) for value in (label, 9, 200)])
    info = PngInfo()
    info.add_text(PNG_CLASSES_KEY, str(num_classes))
    white = Image.fromarray((values % 2 * 255).astype(np.uint8))
    found = {
        'label packed': _saved(indexed, 'PNG', pnginfo=info),
        'label grey': _saved(Image.fromarray(values), 'PNG'),
        'label 16-bit': _saved(Image.fromarray(values.astype(np.uint16)), 'PNG'),
    }
    for mode in ('1', 'L', 'RGB', 'RGBA', 'LA'):
        found[f'mask {mode}'] = _saved(white.convert(mode), 'PNG')
    arrays = [values.astype(kind) for kind in ('u1', 'i4', '<i8', '>u2', 'f4', 'bool')]
    for array in [*arrays, np.asfortranarray(values), values[None], np.array([Payload()], object)]:
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=True)
        found[f'array {array.dtype} {array.ndim} {array.flags.c_contiguous}'] = buffer.getvalue()
    buffer = io.BytesIO()
    np.savez(buffer, labels=values)
    return {
        **found,
        'array npz': buffer.getvalue(),
        'pickle': pickle.dumps(Payload()),
        'empty': b'',
    }


@cache
def points() -> dict[str, bytes]:
    """Points of one image, and of many: CSV, the explorer's JSON, NumPy archives."""
    explorer = {
        'format': EXPLORER,
        'size': 8,
        'pictures': [{'name': IMAGE, 'width': 16, 'height': 24}],
        'labels': [{'name': 'eye'}],
        'points': [{'label': 1, 'positions': [[1, 2]]}],
    }
    found = {
        'one.csv': b'x,y,label\n1,2,eye\n"3.5",4,\n',
        'one.json': json.dumps(explorer).encode(),
        'many.csv': b'image,x,y,label\na.png,1,2,eye\nb.png,,,eye\nb.png,3,4,nose\n',
    }
    for kind in (object, str):
        buffer = io.BytesIO()
        names = np.array(['a.png', 'b.png'], kind)
        np.savez_compressed(buffer, names=names, points=np.zeros((2, 3, 2), np.float32))
        found[f'many {kind.__name__}.npz'] = buffer.getvalue()
    return found


def mutated(random: Random, seeds: list[bytes]) -> bytes:
    """One of the seeds, usually damaged; PNGs mostly with checksums that fit again."""
    content = bytearray(random.choice(seeds))
    for _ in range(random.choice((0, 1, 1, 1, 2, 4, 8))):
        _damage(random, content, seeds)
    if content.startswith(_PNG_SIGNATURE) and random.random() < 0.8:
        _repair_checksums(content)
    return bytes(content)


def _damage(random: Random, content: bytearray, seeds: list[bytes]) -> None:
    # Headers decide what a decoder does: half of the damage is done to the first 64 bytes.
    reach = len(content) if random.random() < 0.5 else min(len(content), 64)
    start = random.randrange(reach + 1)
    stop = min(len(content), start + random.choice((1, 2, 4, 8, 32, 256)))
    kind = random.randrange(8)
    if kind == 0 and start < len(content):
        content[start] ^= 1 << random.randrange(8)
    elif kind == 1:
        content[start:stop] = random.randbytes(stop - start)
    elif kind in (2, 3):
        width, order = random.choice((1, 2, 4)), random.choice(('little', 'big'))
        value = random.choice(_BOUNDARIES) % (1 << 8 * width)
        content[start : start + width] = value.to_bytes(width, order)
    elif kind == 4:
        del content[start:stop]
    elif kind == 5:
        content[start:start] = content[start:stop] * random.choice((1, 2, 50))
    elif kind == 6:
        del content[start if random.random() < 0.5 else len(content) - 1 :]
    else:
        other = random.choice(seeds)
        content[start:] = other[min(start, len(other)) :]


def _repair_checksums(content: bytearray) -> None:
    """Recompute the CRC of every chunk of a PNG, as far as they can be followed."""
    place = len(_PNG_SIGNATURE)
    while place + 12 <= len(content):
        end = place + 8 + int.from_bytes(content[place : place + 4], 'big')
        if end + 4 > len(content):
            return
        content[end : end + 4] = zlib.crc32(content[place + 4 : end]).to_bytes(4, 'big')
        place = end + 4
