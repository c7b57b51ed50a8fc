"""Label masks: what is read, what is refused, and the colours that stay."""

import numpy as np
import pytest
from PIL import Image

from mmcoordgan.datasets.label_files import (
    default_palette,
    full_palette,
    label_image,
    read_labels,
)

LABELS = np.arange(12, dtype=np.uint8).reshape(3, 4) * 23


def test_palette_by_hand():
    """Entries of PASCAL VOC's colour map."""
    palette = default_palette().tolist()
    known = {0: [0, 0, 0], 1: [128, 0, 0], 6: [0, 128, 128], 8: [64, 0, 0], 15: [192, 128, 128]}
    assert {label: palette[label] for label in known} == known
    assert palette[255] == [224, 224, 192]
    assert len({tuple(color) for color in palette}) == 256


def test_labels_and_colours_come_back(tmp_path):
    colors = np.array([[1, 2, 3], [9, 8, 7]], np.uint8)
    for palette in (colors, None):
        label_image(LABELS, palette).save(tmp_path / 'x.png')
        labels, found = read_labels(tmp_path / 'x.png')
        assert labels.dtype == np.uint8 and np.array_equal(labels, LABELS)
        assert np.array_equal(full_palette(found), full_palette(palette))
        with Image.open(tmp_path / 'x.png') as image:
            assert image.mode == 'P'
            shown = np.array(image.convert('RGB'))
        assert np.array_equal(shown, full_palette(palette)[LABELS])


def test_every_kind_of_label_file(tmp_path):
    Image.fromarray(LABELS).save(tmp_path / 'grey.png')
    Image.fromarray(LABELS.astype(np.uint16)).save(tmp_path / '16bit.png')
    Image.fromarray(LABELS > 100).save(tmp_path / '1bit.png')
    Image.fromarray(LABELS % 4).save(tmp_path / '2bit.png', bits=2)
    np.save(tmp_path / 'array.npy', LABELS.astype(np.int64))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    Image.fromarray(np.rot90(LABELS)).save(tmp_path / 'turned.png', exif=exif)
    expected = {'1bit.png': LABELS > 100, '2bit.png': LABELS % 4}
    for name in ('grey.png', '16bit.png', 'array.npy', 'turned.png', *expected):
        labels, palette = read_labels(tmp_path / name)
        assert labels.dtype == np.uint8 and palette is None
        assert np.array_equal(labels, expected.get(name, LABELS)), name


def test_what_is_no_mask(tmp_path):
    image = Image.fromarray(np.zeros((4, 4, 3), np.uint8))
    image.save(tmp_path / 'rgb.png')
    image.convert('L').save(tmp_path / 'lossy.jpg')
    Image.fromarray(np.full((4, 4), 300, np.uint16)).save(tmp_path / 'high.png')
    arrays = dict(negative=-LABELS.astype(int), high=LABELS.astype(int) + 7, empty=LABELS[:0])
    for name, array in dict(arrays, float=LABELS / 2, deep=LABELS[..., None]).items():
        np.save(tmp_path / f'{name}.npy', array)
    noise = np.random.default_rng(0).integers(0, 9, (64, 64), np.uint8)
    Image.fromarray(noise).save(tmp_path / 'half.png')
    content = (tmp_path / 'half.png').read_bytes()
    (tmp_path / 'half.png').write_bytes(content[: len(content) // 2])
    (tmp_path / 'text.png').write_text('no picture')
    for name, message in {
        'rgb.png': r'mask .*rgb\.png is a color image \(mode RGB\).*palette PNG',
        'lossy.jpg': r'lossy\.jpg is a JPEG, whose compression changes labels: use PNG',
        'high.png': r'high\.png holds 300, but labels are 0\.\.254 and 255',
        'high.npy': r'high\.npy holds 260, but labels are 0\.\.254 and 255',
        'negative.npy': r'negative\.npy holds -253, -230, -207, -184, -161, but labels',
        'empty.npy': r'an array \(H, W\) of integers, but is \(0, 4\) of uint8',
        'float.npy': r'\(H, W\) of integers, but is \(3, 4\) of float64',
        'deep.npy': r'\(H, W\) of integers, but is \(3, 4, 1\) of uint8',
        'half.png': r'cannot read mask .*half\.png: ',
        'text.png': r'cannot read mask .*text\.png: .*not an image file of a known format',
        'none.png': r'cannot read mask .*none\.png: FileNotFoundError',
        'none.npy': r'cannot read mask .*none\.npy: FileNotFoundError',
    }.items():
        with pytest.raises((ValueError, OSError), match=message):
            read_labels(tmp_path / name, 255, 255)
