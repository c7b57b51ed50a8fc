"""Images, masks and folders as cameras, scanners and attackers make them."""

from __future__ import annotations

import io
import os
import shutil
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mmcoordgan.datasets import BrokenImageError, ImageFolder, LoadImage, PackInputs
from mmcoordgan.datasets.celebamask_hq import mask_path, paint_labels, read_packed_labels
from mmcoordgan.datasets.datasetgan import read_mask
from mmcoordgan.datasets.image_folder import list_images
from mmcoordgan.datasets.transforms import RandomFlip


def load(path, **arguments) -> np.ndarray:
    return LoadImage(**arguments)({'img_path': str(path)})['img']


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)


# ------------------------------------------------------------------------ images


@pytest.mark.parametrize('mode', ['RGB', 'L', 'P', '1', 'RGBA', 'LA', 'I;16'])
@pytest.mark.parametrize('size', [1, 8, 40])
def test_resizing_while_reading_equals_resizing_afterwards(tmp_path, picture, mode, size):
    image = Image.fromarray(np.concatenate([picture, picture[..., :1]], -1))
    if mode == 'I;16':
        image = Image.fromarray(picture[..., 0].astype(np.uint16) * 250)
    image.convert(mode).save(tmp_path / 'a.png')
    whole = Image.fromarray(load(tmp_path / 'a.png'))
    expected = np.array(whole.resize((size, size), Image.Resampling.BILINEAR))
    results = LoadImage(size=size)({'img_path': str(tmp_path / 'a.png')})
    np.testing.assert_array_equal(results['img'], expected)
    assert results['img_shape'] == (size, size) and results['ori_shape'] == (16, 24)
    assert results['scale_factor'] == (size / 24, size / 16)
    with pytest.raises(ValueError, match='size must be at least 1, got 0'):
        LoadImage(size=0)


def test_the_shape_of_a_turned_picture_is_the_upright_one(tmp_path, picture):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture).save(tmp_path / 'a.png', exif=exif)
    results = LoadImage(size=8)({'img_path': str(tmp_path / 'a.png')})
    assert results['ori_shape'] == (24, 16)
    upright = Image.fromarray(np.ascontiguousarray(np.rot90(picture, -1)))
    expected = np.array(upright.resize((8, 8), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(results['img'], expected)


def test_exif_data_that_cannot_be_read_are_ignored(tmp_path, picture):
    Image.fromarray(picture).save(tmp_path / 'a.png', exif=b'Exif\0\0MM\0\x2anonsense')
    np.testing.assert_array_equal(load(tmp_path / 'a.png'), picture)


@pytest.mark.parametrize('kind', ['PNG', 'GIF', 'WEBP', 'TIFF'])
def test_the_first_frame_of_an_animation(tmp_path, kind):
    frames = [Image.new('RGB', (6, 4), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    options = {'lossless': True} if kind == 'WEBP' else {}
    frames[0].save(tmp_path / 'a.png', kind, save_all=True, append_images=frames[1:], **options)
    assert Image.open(tmp_path / 'a.png').n_frames == 2
    assert np.unique(load(tmp_path / 'a.png').reshape(-1, 3), axis=0).tolist() == [[255, 0, 0]]


@pytest.mark.parametrize('kind', ['PNG', 'GIF', 'WEBP'])
def test_transparent_pixels_show_the_background(tmp_path, kind):
    image = np.full((4, 6, 4), 255, np.uint8)
    image[..., 1:3] = 0  # red
    image[:, :2, 3] = 0
    options = {'lossless': True, 'exact': True} if kind == 'WEBP' else {}
    Image.fromarray(image).save(tmp_path / 'a.png', kind, **options)
    found = load(tmp_path / 'a.png', alpha_background=(0, 255, 0))
    assert (found[:, :2] == [0, 255, 0]).all() and (found[:, 2:] == [255, 0, 0]).all()


def test_16_bit_grey_with_a_transparent_level(tmp_path):
    grey = np.array([[0, 257, 25700, 65535]], np.uint16)
    Image.fromarray(grey).save(tmp_path / 'a.png', transparency=25700)
    assert load(tmp_path / 'a.png', alpha_background=(1, 2, 3)).tolist() == [
        [[0, 0, 0], [1, 1, 1], [1, 2, 3], [255, 255, 255]]
    ]


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
        with pytest.raises(ValueError, match='holds labels of 19 classes, not 7'):
            read_packed_labels(str(place), 7)


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


def peak_of(function) -> float:
    """Bytes that Python allocates at most meanwhile."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
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

    def refused() -> None:
        with pytest.raises(OSError, match=rf'{place.name}.*10000000000 pixels'):
            read(place)

    assert peak_of(refused) < 1e6


@pytest.mark.parametrize('read', READERS.values(), ids=READERS)
def test_chunks_that_claim_gigabytes_set_no_memory_aside(place, read):
    wrong = chunk(b'tEXt', b'', length=2**31 - 1)
    place.write_bytes(png(2, 2, b'\0\1\1\0\1\1', wrong))

    def attempt() -> None:
        try:
            read(place)
        except OSError as error:
            assert place.name in str(error)

    assert peak_of(attempt) < 1e6


@pytest.mark.parametrize('read', READERS.values(), ids=READERS)
@pytest.mark.parametrize('damage', ['empty', 'truncated', 'text', 'eps', 'folder', 'pipe'])
def test_what_is_no_picture_is_named(place, read, damage, picture):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, 'EPS' if damage == 'eps' else 'PNG')
    content = {'empty': b'', 'text': b'hello', 'truncated': buffer.getvalue()[:200]}
    if damage == 'folder':
        place.mkdir()
    elif damage == 'pipe':
        os.mkfifo(place)
    else:
        place.write_bytes(content.get(damage, buffer.getvalue()))
    with pytest.raises(OSError, match=f'cannot read (image|mask|labels) .*{place.name}'):
        read(place)


def test_eps_is_not_handed_to_ghostscript(tmp_path, picture, monkeypatch):
    """Pillow would run the program ``gs`` on a PostScript file, whatever its name is."""
    started = []
    monkeypatch.setattr(subprocess, 'check_call', lambda *arguments, **_: started.append(1))
    monkeypatch.setattr('PIL.EpsImagePlugin.gs_binary', 'gs')
    Image.fromarray(picture).save(tmp_path / 'a.jpg', 'EPS')
    with pytest.raises(BrokenImageError, match=r'a\.jpg: not an image file of a known format'):
        load(tmp_path / 'a.jpg')
    assert not started
    with pytest.raises(Exception), Image.open(tmp_path / 'a.jpg') as image:  # noqa: B017
        image.load()
    assert started


@pytest.mark.parametrize('shape', [(1, 5), (5, 1), (1, 1)])
def test_one_pixel_is_enough(tmp_path, shape):
    image = np.arange(shape[0] * shape[1] * 3, dtype=np.uint8).reshape(*shape, 3)
    Image.fromarray(image).save(tmp_path / 'a.png')
    results = RandomFlip(prob=1.0)(LoadImage()({'img_path': str(tmp_path / 'a.png')}))
    inputs = PackInputs()(results)['inputs']
    np.testing.assert_array_equal(inputs.permute(1, 2, 0), image[:, ::-1])


# ------------------------------------------------------------------------ masks


def painted(place: Path, image: Image.Image, **options) -> np.ndarray:
    image.save(place, 'PNG', **options)
    return paint_labels(str(place.parents[1]), 1, 7)


@pytest.mark.parametrize('mode', ['1', 'L', 'P', 'RGB', 'RGBA', 'LA', '16-bit'])
def test_part_masks_of_any_kind(place, mode):
    levels = np.array([[0, 100, 127, 128, 200, 255]], np.uint8)
    if mode == '1':
        levels = np.array([[0, 0, 0, 255, 255, 255]], np.uint8)
    image = Image.fromarray(levels)
    if mode == '16-bit':
        image = Image.fromarray(levels.astype(np.uint16) * 257)
    elif mode == 'P':
        image = image.convert('RGB').quantize(6)
    else:
        image = image.convert(mode)
    assert painted(place, image).tolist() == [[0, 0, 0, 6, 6, 6]]


def test_part_masks_that_cannot_be_understood(place):
    red = Image.new('RGB', (4, 4), (255, 0, 0))
    clear = Image.new('RGBA', (4, 4), (255, 255, 255, 0))
    for image in (red, clear):
        with pytest.raises(OSError, match=rf'{place.name}.*must be black and white'):
            painted(place, image)
    with pytest.raises(OSError, match=rf'{place.name}.*must be black and white'):
        painted(place, Image.new('P', (4, 4), 0), transparency=0)


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'LA', '1', '16-bit'])
def test_packed_labels_must_be_indices(place, mode):
    image = Image.new('L', (4, 4), 1).convert('I;16' if mode == '16-bit' else mode)
    image.save(place)
    with pytest.raises(ValueError, match=rf'{place.name} is no label map of 7 classes: mode '):
        read_packed_labels(str(place), 7)


def test_packed_labels_are_indices_whatever_the_colours(place):
    indices = np.arange(6, dtype=np.uint8)[None]
    image = Image.fromarray(indices)
    image.putpalette([200] * 18)
    image.save(place, transparency=2)
    np.testing.assert_array_equal(read_packed_labels(str(place), 7), indices)


def test_arrays_that_claim_gigabytes_set_no_memory_aside(tmp_path):
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (30000, 30000), }"
    header += b' ' * (63 - (len(header) + 10) % 64) + b'\n'
    path = tmp_path / 'mask.npy'
    path.write_bytes(b'\x93NUMPY\1\0' + struct.pack('<H', len(header)) + header + b'\0' * 64)

    def refused() -> None:
        with pytest.raises(OSError, match=r'cannot read mask .*mask\.npy'):
            read_mask(str(path), 7)

    assert peak_of(refused) < 1e6


def test_labels_of_another_size_than_the_picture_are_named():
    results = {
        'img': np.zeros((8, 8, 3), np.uint8),
        'gt_seg_map': np.zeros((4, 8), int),
        'img_path': 'some/image_7.jpg',
    }
    with pytest.raises(ValueError, match=r'4x8 but the image is 8x8 \(some/image_7\.jpg\)'):
        PackInputs()(results)


# ------------------------------------------------------------------------ folders


def test_names_with_spaces_newlines_and_other_letters(tmp_path):
    names = ['a b.png', 'ä世界 🙂.png', 'new\nline.png', 'quote\'".png', '%s{0}.png', '-x.png']
    if sys.platform == 'linux':
        names.append(os.fsdecode(b'no-utf8-\xff.png'))
    folder = tmp_path / 'my pictures ü\n'
    folder.mkdir()
    for level, name in enumerate(names):
        Image.new('RGB', (2, 2), (level, 0, 0)).save(folder / name)
    dataset = ImageFolder(data_root=str(folder))
    assert dataset.paths == sorted(names)
    found = {dataset.paths[i]: int(dataset[i]['inputs'][0, 0, 0]) for i in range(len(names))}
    assert found == {name: level for level, name in enumerate(names)}


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


def test_links_between_many_folders_are_not_followed_along_every_path(tmp_path):
    """Twelve folders with links to all others: 12! paths without repetition."""
    folders = [tmp_path / f'{number:02d}' for number in range(12)]
    for folder in folders:
        folder.mkdir()
        (folder / 'x.png').touch()
    for folder in folders:
        for other in folders:
            os.symlink(other, folder / f'to {other.name}', target_is_directory=True)
    assert list_images(str(tmp_path)) == [f'{number:02d}/x.png' for number in range(12)]


def test_a_folder_with_many_names_is_listed_once(tmp_path):
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir()
    (elsewhere / 'x.png').touch()
    root = tmp_path / 'root'
    root.mkdir()
    for name in ('z', 'm', 'y'):
        os.symlink(elsewhere, root / name, target_is_directory=True)
    assert list_images(str(root)) == ['m/x.png']
    shutil.copytree(elsewhere, root / 'zz')  # real folders come first, whatever their names are
    os.symlink(root / 'zz', root / 'a', target_is_directory=True)
    assert list_images(str(root)) == ['m/x.png', 'zz/x.png']


def test_deep_folders(tmp_path):
    depth = (os.pathconf(tmp_path, 'PC_PATH_MAX') - len(str(tmp_path)) - 20) // 2
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir('d', dir_fd=here)
        below = os.open('d', os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open('x.png', os.O_CREAT, dir_fd=here))
    os.close(here)
    assert depth > sys.getrecursionlimit() // 2
    try:
        assert list_images(str(tmp_path)) == ['d/' * depth + 'x.png']
    finally:  # pytest's own removal would recurse
        subprocess.run(['rm', '-r', 'd'], cwd=tmp_path, check=True)


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


def test_files_and_folders_without_permission_are_named(tmp_path, monkeypatch):
    """Root may read everything, so the refusal is played."""
    Image.new('RGB', (2, 2)).save(tmp_path / 'secret.png')
    dataset = ImageFolder(data_root=str(tmp_path))

    def refuse(path, **_):
        raise PermissionError(13, 'Permission denied', str(path))

    monkeypatch.setattr('mmcoordgan.datasets.loading.get', refuse)
    with pytest.raises(BrokenImageError, match=r'cannot read image .*secret\.png.*Permission'):
        dataset[0]
    monkeypatch.setattr(os, 'scandir', refuse)
    with pytest.raises(PermissionError, match=tmp_path.name):
        ImageFolder(data_root=str(tmp_path))
