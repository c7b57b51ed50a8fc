"""Images, masks and folders as cameras, scanners and attackers make them."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from test_loading import load

from mmcoordgan.datasets import BrokenImageError, ImageFolder, LoadImage
from mmcoordgan.datasets.celebamask_hq import mask_path, paint_labels, read_packed_labels
from mmcoordgan.datasets.image_folder import list_images
from mmcoordgan.datasets.label_files import read_labels


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)


@pytest.mark.parametrize('mode', ['RGB', 'L', 'P', '1', 'RGBA', 'LA', 'I;16'])
@pytest.mark.parametrize('size', [1, 8, 40])
def test_resizing_while_reading_equals_resizing_afterwards(tmp_path, pixels, mode, size):
    image = Image.fromarray(np.concatenate([pixels, pixels[..., :1]], -1))
    if mode == 'I;16':
        image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 250)
    image.convert(mode).save(tmp_path / 'a.png')
    whole = Image.fromarray(load(tmp_path / 'a.png'))
    expected = np.array(whole.resize((size, size), Image.Resampling.BILINEAR))
    results = LoadImage(size=size)({'img_path': str(tmp_path / 'a.png')})
    np.testing.assert_array_equal(results['img'], expected)
    assert results['img_shape'] == (size, size) and results['ori_shape'] == (16, 24)
    assert results['scale_factor'] == (size / 24, size / 16)


@pytest.mark.parametrize('read', ['image', 'packed labels'])
def test_large_texts_and_profiles_of_a_png_are_left_out(place, read):
    """Pillow refuses more than 1 MiB of compressed text or color profile."""
    info = PngInfo()
    info.add_text('workflow', 'x' * 2_000_000, zip=True)
    info.add_itxt('more', 'x' * 2_000_000, zip=True)
    info.add_text('mmcoordgan:num_classes', '19')
    Image.new('L', (3, 2), 5).save(place, 'PNG', pnginfo=info, icc_profile=b'\0' * 2_000_000)
    if read == 'image':
        assert load(place).tolist() == [[[5] * 3] * 3] * 2
    else:
        assert read_packed_labels(str(place), 19).tolist() == [[5] * 3] * 2


def chunk(kind: bytes, content: bytes, length: int | None = None) -> bytes:
    length = len(content) if length is None else length
    return (
        struct.pack('>I', length) + kind + content + struct.pack('>I', zlib.crc32(kind + content))
    )


def png(width: int, height: int, pixels: bytes, *more: bytes) -> bytes:
    """A grey 8-bit PNG, whatever its header says."""
    header = struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)
    data = chunk(b'IDAT', zlib.compress(pixels))
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + data + b''.join(more)


@contextmanager
def less_than_a_megabyte() -> Iterator[None]:
    """What Python allocates meanwhile."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


READERS = {
    'image': load,
    'packed labels': lambda path: read_packed_labels(str(path), 7),
    'part mask': lambda path: paint_labels(str(Path(path).parents[1]), 1, 7),
}


@pytest.fixture
def place(tmp_path) -> Path:
    """Where all of the readers find a file."""
    path = Path(mask_path(str(tmp_path), 1, 'skin'))
    path.parent.mkdir()
    return path


@pytest.mark.parametrize('read', READERS.values(), ids=READERS)
def test_decompression_bombs(place, read):
    """A file of 100 bytes that claims 100,000 x 100,000 pixels."""
    place.write_bytes(png(100_000, 100_000, b'\0'))
    message = rf'{place.name}.*10000000000 pixels'
    with less_than_a_megabyte(), pytest.raises(OSError, match=message):
        read(place)


@pytest.mark.parametrize('read', READERS.values(), ids=READERS)
def test_chunks_that_claim_gigabytes_set_no_memory_aside(place, read):
    wrong = chunk(b'tEXt', b'', length=2**31 - 1)
    place.write_bytes(png(2, 2, b'\0\1\1\0\1\1', wrong))
    with less_than_a_megabyte():
        try:
            read(place)
        except OSError as error:
            assert place.name in str(error)


@pytest.mark.parametrize('read', READERS.values(), ids=READERS)
@pytest.mark.parametrize('damage', ['empty', 'truncated', 'text', 'eps', 'folder', 'pipe'])
def test_what_is_no_image_is_named(place, read, damage, pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, 'EPS' if damage == 'eps' else 'PNG')
    content = {'empty': b'', 'text': b'hello', 'truncated': buffer.getvalue()[:200]}
    if damage == 'folder':
        place.mkdir()
    elif damage == 'pipe':
        os.mkfifo(place)
    else:
        place.write_bytes(content.get(damage, buffer.getvalue()))
    with pytest.raises(OSError, match=f'cannot read (image|mask|labels) .*{place.name}'):
        read(place)


def test_eps_is_not_handed_to_ghostscript(tmp_path, pixels, monkeypatch):
    """Pillow would run the program ``gs`` on a PostScript file, whatever its name is."""
    started = []
    monkeypatch.setattr(subprocess, 'check_call', lambda *arguments, **_: started.append(1))
    monkeypatch.setattr('PIL.EpsImagePlugin.gs_binary', 'gs')
    Image.fromarray(pixels).save(tmp_path / 'a.jpg', 'EPS')
    with pytest.raises(BrokenImageError, match=r'a\.jpg: not an image file of a known format'):
        load(tmp_path / 'a.jpg')
    assert not started
    with pytest.raises(Exception), Image.open(tmp_path / 'a.jpg') as image:  # noqa: B017
        image.load()
    assert started


@pytest.mark.parametrize('mode', ['L', 'P', 'RGB', 'RGBA', 'LA', '16-bit'])
def test_part_masks_of_any_kind(place, mode):
    levels = np.array([[0, 100, 127, 128, 200, 255]], np.uint8)
    if mode == '16-bit':
        image = Image.fromarray(levels.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(levels).convert('RGB' if mode == 'P' else mode)
    (image.quantize(6) if mode == 'P' else image).save(place)
    assert paint_labels(str(place.parents[1]), 1, 7).tolist() == [[0, 0, 0, 6, 6, 6]]


def test_arrays_that_claim_gigabytes_set_no_memory_aside(tmp_path):
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (30000, 30000), }"
    header += b' ' * (63 - (len(header) + 10) % 64) + b'\n'
    path = tmp_path / 'mask.npy'
    path.write_bytes(b'\x93NUMPY\1\0' + struct.pack('<H', len(header)) + header + b'\0' * 64)
    with less_than_a_megabyte(), pytest.raises(OSError, match=r'cannot read mask .*mask\.npy'):
        read_labels(path)


def test_every_circle_of_links_ends(tmp_path):
    root = tmp_path / 'root'
    for name in ('a', 'b/c'):
        (root / name).mkdir(parents=True)
        Image.new('RGB', (2, 2)).save(root / name / '1.png')
    os.symlink(root, root / 'b' / 'up', target_is_directory=True)
    os.symlink(root / 'b', root / 'a' / 'across', target_is_directory=True)
    os.symlink(root / 'a', root / 'b' / 'c' / 'across', target_is_directory=True)
    os.symlink('itself', root / 'itself')
    os.symlink('pong', root / 'ping')
    os.symlink('ping', root / 'pong')
    assert list_images(str(root)) == ['a/1.png', 'b/c/1.png']


@pytest.mark.parametrize('kind', ['broken link', 'circle', 'pipe', 'device'])
def test_entries_that_are_no_files_are_named_or_skipped(tmp_path, kind):
    Image.new('RGB', (2, 2), (7, 7, 7)).save(tmp_path / 'b.png')
    bad = tmp_path / 'a.png'
    if kind == 'pipe':
        os.mkfifo(bad)
    else:
        os.symlink({'broken link': 'gone', 'circle': 'a.png', 'device': '/dev/zero'}[kind], bad)
    with pytest.raises(BrokenImageError, match=r"cannot read image .*a\.png.*on_broken='skip'"):
        ImageFolder(data_root=str(tmp_path))[0]
    skipping = ImageFolder(data_root=str(tmp_path), on_broken='skip')
    assert int(skipping[0]['inputs'][0, 0, 0]) == 7
