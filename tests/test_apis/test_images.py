"""Images of every kind become squares, one at a time."""

import numpy as np
import pytest
from PIL import Image
from tiny_inversion import pictures

from mmcoordgan.apis.images import iter_sources, read_square
from mmcoordgan.datasets import LoadImage

IMAGE = pictures(1, 20, 30)[0]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'sub').mkdir()
    for name in ('b.png', 'sub/a.png', 'c.bmp'):
        Image.fromarray(IMAGE).save(tmp_path / name)
    (tmp_path / 'notes.txt').touch()
    return tmp_path


def test_files_folders_arrays_and_iterables(folder):
    paths = [str(folder / name) for name in ('b.png', 'c.bmp', 'sub/a.png')]
    assert list(iter_sources(str(folder))) == paths
    assert list(iter_sources(folder)) == paths
    assert list(iter_sources([paths[1], folder])) == [paths[1], *paths]
    assert list(iter_sources(path for path in paths)) == paths
    assert len(list(iter_sources(np.stack([IMAGE] * 3)))) == 3
    kinds = ('jpg', 'JPEG', 'webp', 'gif', 'tif', 'TIFF', 'jp2', 'pgm', 'ppm')
    for number, kind in enumerate(kinds):
        Image.fromarray(IMAGE).convert('L').save(folder / f'sub/{number}.{kind}')
        read_square(folder / f'sub/{number}.{kind}', 8, '')
    assert len(list(iter_sources(folder))) == 3 + len(kinds)
    with pytest.raises(TypeError, match='not int'):
        list(iter_sources([7]))
    (folder / 'empty').mkdir()
    with pytest.raises(ValueError, match=r"'.*empty' holds no file that ends in .*\.jpg \.jpeg"):
        list(iter_sources(folder / 'empty'))


def test_the_pixels_and_the_size_of_load_image(folder):
    path = str(folder / 'b.png')
    expected = LoadImage(size=8).transform({'img_path': path})['img']
    for source, name in ((path, path), (IMAGE, 'image 0')):
        found = read_square(source, 8, 'image 0')
        assert np.array_equal(found.image, expected)
        assert found.crop.shape == (20, 30) and found.name == name


def test_what_is_no_image():
    for image in (IMAGE[..., 0], IMAGE / 255, IMAGE[:0], IMAGE.transpose(2, 0, 1)):
        with pytest.raises(ValueError, match=r'image 0 must be an array \(H, W, 3\) of uint8'):
            read_square(image, 8, 'image 0')
