import numpy as np
import pytest
from PIL import Image

from mmcoordgan.datasets import LoadImage
from mmcoordgan.registry import TRANSFORMS


def load(path) -> np.ndarray:
    return LoadImage()({'img_path': str(path)})['img']


@pytest.fixture
def quadrants() -> np.ndarray:
    """Red, green / blue, white: every flip and rotation differs."""
    image = np.zeros((16, 24, 3), np.uint8)
    image[:8, :12, 0] = 255
    image[:8, 12:, 1] = 255
    image[8:, :12, 2] = 255
    image[8:, 12:] = 255
    return image


@pytest.mark.parametrize('mode', ['RGB', 'L', '1', 'P', 'CMYK'])
def test_rgb_of_every_mode(tmp_path, quadrants, mode):
    image = Image.fromarray(quadrants)
    image = image.quantize(4) if mode == 'P' else image.convert(mode)
    path = str(tmp_path / ('a.tiff' if mode == 'CMYK' else 'a.png'))
    image.save(path)
    assert Image.open(path).mode == mode
    results = TRANSFORMS.build({'type': 'LoadImage'})({'img_path': path})
    np.testing.assert_array_equal(results['img'], image.convert('RGB'))
    assert mode in ('L', '1') or np.array_equal(results['img'], quadrants)
    assert results['img_shape'] == results['ori_shape'] == (16, 24)
    assert results['img'].flags.writeable


@pytest.mark.parametrize('ending', ['png', 'tiff'])
def test_16_bit_grey_keeps_its_range(tmp_path, ending):
    grey = np.linspace(0, 65535, 240).astype(np.uint16).reshape(12, 20)
    Image.fromarray(grey).save(tmp_path / f'a.{ending}')
    expected = np.rint(grey / 257).astype(np.uint8)
    np.testing.assert_array_equal(load(tmp_path / f'a.{ending}')[..., 2], expected)


@pytest.mark.parametrize('mode', ['RGBA', 'LA'])
def test_alpha_lies_on_white(tmp_path, mode):
    image = np.zeros((4, 6, len(mode)), np.uint8)
    image[..., :-1] = 200
    image[..., -1] = [0, 0, 255, 255, 51, 51]  # hidden, opaque, one fifth opaque
    Image.fromarray(image).save(tmp_path / 'a.png')
    np.testing.assert_array_equal(load(tmp_path / 'a.png')[0, ::2, 1], [255, 200, 244])


def test_transparent_palette(tmp_path, quadrants):
    image = Image.fromarray(quadrants).quantize(4)
    image.save(tmp_path / 'a.png', transparency=image.getpixel((0, 0)))
    quadrants[:8, :12] = 255
    np.testing.assert_array_equal(load(tmp_path / 'a.png'), quadrants)


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'L'])
def test_exif_orientation(tmp_path, quadrants, orientation, mode):
    """Stored as the camera would for each orientation, the image comes back upright."""
    stored = {
        1: quadrants,
        2: quadrants[:, ::-1],
        3: quadrants[::-1, ::-1],
        4: quadrants[::-1],
        5: quadrants.transpose(1, 0, 2),
        6: np.rot90(quadrants, 1),
        7: quadrants[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(quadrants, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored)).convert(mode)
    image.save(tmp_path / 'a.png', exif=exif)
    expected = np.array(Image.fromarray(quadrants).convert(mode).convert('RGB'))
    np.testing.assert_array_equal(load(tmp_path / 'a.png'), expected)
