"""The explorer's page as a file; test_explorer_browser.py looks at it in a browser."""

import base64
import io

import numpy as np
import pytest
import torch
from browser import explorer_data
from explorer_driver import random_pictures
from PIL import Image

from mmcoordgan.geometry import canonical_grid
from mmcoordgan.visualization.explorer import ExplorerPicture, explorer_page, quantize_coords


def pictures(count: int, size: int = 8, side: int = 8) -> list[ExplorerPicture]:
    names = [f'{i}.png' for i in range(count)]
    return random_pictures(side, [canonical_grid(size, size)] * count, names)


def test_levels():
    levels = quantize_coords(torch.tensor([-1.0, 0.0, 1.0, 1 / 65535]).view(2, 1, 2))
    assert levels.dtype == np.uint16
    assert levels.flatten().tolist() == [0, 32768, 65535, 32768]
    coords = torch.rand(2, 50, 50) * 2 - 1
    error = np.abs(quantize_coords(coords) / 65535 * 2 - 1 - coords.double().numpy()).max()
    assert error <= 1 / 65535
    assert quantize_coords(torch.tensor([-1.1, 9]).view(2, 1, 1)).flatten().tolist() == [0, 65535]


def test_what_the_page_holds():
    given = pictures(2)
    given[1] = given[1]._replace(
        coords=canonical_grid(8, 8).flip(0) / 2, name='b \udce9 \ud800.png', warning='Doubtful'
    )
    found = explorer_data(explorer_page(given))
    assert found['size'] == 8
    assert [picture['name'] for picture in found['pictures']] == ['0.png', 'b \ufffd \ufffd.png']
    assert [picture['warning'] for picture in found['pictures']] == ['', 'Doubtful']
    for picture, expected in zip(found['pictures'], given):
        levels = np.frombuffer(base64.b64decode(picture['map']), '<u2').reshape(2, 8, 8)
        np.testing.assert_array_equal(levels, quantize_coords(expected.coords))


def test_large_images_are_reduced_in_their_aspect_ratio():
    image = np.zeros((300, 1200, 3), np.uint8)
    found = explorer_data(explorer_page([p._replace(image=image) for p in pictures(2)]))[
        'pictures'
    ][0]
    assert (found['width'], found['height']) == (1200, 300)
    content = base64.b64decode(found['image'].partition('base64,')[2])
    assert Image.open(io.BytesIO(content)).size == (384, 96)


def test_nothing_in_a_name_is_markup():
    name = '</script><!--<script>alert(1)</script>"\'&.png'
    page = explorer_page([p._replace(name=name) for p in pictures(2)], title=name)
    assert name not in page
    assert page.count('</script>') == 2
    assert '<!--' not in page
    assert explorer_data(page)['pictures'][0]['name'] == name


def test_nine_images_at_128_take_less_than_5_mb():
    """Of noise, which compresses worst, and larger than what the page holds of them."""
    assert len(explorer_page(pictures(9, 128, 500))) < 5e6


def test_errors():
    for count in (1, 17):
        with pytest.raises(ValueError, match=f'shows 2 to 16 images, but got {count}'):
            explorer_page(pictures(count))
    for size in (7, 257):
        with pytest.raises(ValueError, match=rf'in 8..256 .* 0.png is \(2, {size}, {size}\)'):
            explorer_page(pictures(2, size))
    with pytest.raises(ValueError, match=r'1.png is \(2, 9, 9\)'):
        explorer_page([*pictures(1), pictures(2, 9)[1]])
