"""Label masks: what is read, what is refused, and the colours that stay."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mmcoordgan.apis.masks import check_labels, full_palette, label_image, read_label_mask
from mmcoordgan.datasets.label_files import default_palette

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
        found = read_label_mask(tmp_path / 'x.png')
        assert found.labels.dtype == np.uint8 and np.array_equal(found.labels, LABELS)
        assert np.array_equal(full_palette(found.palette), full_palette(palette))
        with Image.open(tmp_path / 'x.png') as image:
            assert image.mode == 'P'
            shown = np.array(image.convert('RGB'))
        assert np.array_equal(shown, full_palette(palette)[LABELS])


def test_every_kind_of_label_file(tmp_path):
    Image.fromarray(LABELS).save(tmp_path / 'grey.png')
    Image.fromarray(LABELS.astype(np.uint16)).save(tmp_path / '16bit.png')
    Image.fromarray(LABELS > 100).save(tmp_path / 'bits.png')
    np.save(tmp_path / 'array.npy', LABELS.astype(np.int64))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    Image.fromarray(np.rot90(LABELS)).save(tmp_path / 'turned.png', exif=exif)
    for name in ('grey.png', '16bit.png', 'array.npy', 'turned.png'):
        found = read_label_mask(tmp_path / name)
        assert np.array_equal(found.labels, LABELS), name
        assert found.palette is None
    assert np.array_equal(read_label_mask(tmp_path / 'bits.png').labels, LABELS > 100)


def test_what_is_no_mask(tmp_path):
    image = Image.fromarray(np.zeros((4, 4, 3), np.uint8))
    image.save(tmp_path / 'rgb.png')
    image.convert('L').save(tmp_path / 'lossy.jpg')
    Image.fromarray(np.full((4, 4), 300, np.uint16)).save(tmp_path / 'high.png')
    np.save(tmp_path / 'high.npy', np.full((4, 4), 300))
    Image.fromarray(np.random.default_rng(0).integers(0, 9, (64, 64), np.uint8)).save(
        tmp_path / 'whole.png'
    )
    content = (tmp_path / 'whole.png').read_bytes()
    (tmp_path / 'half.png').write_bytes(content[: len(content) // 2])
    (tmp_path / 'text.png').write_text('no picture')
    for name, message in {
        'rgb.png': r'mask .*rgb\.png is a color image \(mode RGB\).*palette PNG',
        'lossy.jpg': r'lossy\.jpg is a JPEG, whose compression changes labels: use PNG',
        'high.png': r'high\.png holds labels 300\.\.300, but must lie in 0\.\.255',
        'high.npy': r'high\.npy must hold labels 0\.\.255, found 300\.\.300',
        'half.png': r'cannot read mask .*half\.png: ',
        'text.png': r'cannot read mask .*text\.png: .*not an image file of a known format',
        'none.png': r'cannot read mask .*none\.png: FileNotFoundError',
    }.items():
        with pytest.raises((ValueError, OSError), match=message):
            read_label_mask(tmp_path / name)


def test_labels_must_fit_their_image():
    check_labels(LABELS, (3, 4), 'mask', 'picture')
    with pytest.raises(ValueError, match=r'm\.png is 4x3 \(width x height\), but p\.jpg is 5x6'):
        check_labels(LABELS, (6, 5), 'm.png', 'p.jpg')
    with pytest.raises(ValueError, match=r'\(H, W\) of integers, but is \(3, 4\) of float64'):
        check_labels(LABELS / 2, (3, 4), 'm', 'p')
    with pytest.raises(ValueError, match=r'labels -1\.\.'):
        check_labels(LABELS.astype(int) - 1, (3, 4), 'm', 'p')
