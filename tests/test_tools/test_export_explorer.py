"""tools/analysis_tools/export_explorer.py: images and their maps, errors, files that exist."""

import base64
from pathlib import Path

import numpy as np
import torch
from browser import explorer_data
from PIL import Image
from tiny_inversion import pictures

from mmcoordgan.apis import load_trained
from mmcoordgan.visualization.explorer import quantize_coords

TOOL = 'analysis_tools/export_explorer.py'


def stored_map(picture: dict, size: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(picture['map']), '<u2').reshape(2, size, size)


def test_images(run_tool, untrained, capsys):
    """Names without folders, images' own sizes, the encoder's maps of the squared images."""
    checkpoint = untrained['toyfaces_32_encoder']
    pixels, other = pictures(1, 32, 32)[0], pictures(1, 40, 64)[0]
    for folder, image in (('a', pixels), ('b', other)):
        Path(folder).mkdir()
        Image.fromarray(image).save(f'{folder}/x.png')
    run_tool(TOOL, checkpoint, 'a/x.png', 'b/x.png', '--out', 'page.html', '--title', 'A & B')
    assert capsys.readouterr().out.startswith('page.html: 2 images, 0.')
    page = Path('page.html').read_text(encoding='utf-8')
    found = explorer_data(page)
    assert [picture['name'] for picture in found['pictures']] == ['x.png (1)', 'x.png (2)']
    assert [(p['width'], p['height']) for p in found['pictures']] == [(32, 32), (64, 40)]
    networks = load_trained(checkpoint)
    square = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1
    expected = quantize_coords(networks.invert(square).coords[0])
    difference = stored_map(found['pictures'][0], 32).astype(int) - expected
    assert np.abs(difference).max() <= 1  # of 65536; another layout in memory, another rounding
    assert (stored_map(found['pictures'][1], 32) != expected).any()
    assert '<title>A &amp; B</title>' in page


def test_samples(run_tool, untrained):
    """Of either stage; the same seed gives the same page; maps of any size."""
    checkpoint = untrained['toyfaces_32']
    for out, seed, size in (('first', 1, 32), ('same', 1, 32), ('other', 2, 32), ('large', 1, 64)):
        options = ['--seed', seed, '--size', size, '--out', f'{out}.html']
        run_tool(TOOL, checkpoint, '--samples', 3, *options)
    first, same, other, large = (
        Path(f'{x}.html').read_text() for x in ('first', 'same', 'other', 'large')
    )
    assert first == same != other and len(explorer_data(first)['pictures']) == 3
    generator = load_trained(checkpoint).generator
    z = torch.randn(1, generator.structure_dim, generator=torch.Generator().manual_seed(3))
    coords = generator.warp(generator.map_structure(z), 64)[0]
    found = explorer_data(large)['pictures'][2]
    np.testing.assert_array_equal(stored_map(found, 64), quantize_coords(coords))


def test_errors(refused, untrained):
    cases = {
        ('--samples', 17): '2 to 16 images, not 17',
        (): 'either image files or --samples N',
        ('--samples', 2, '--size', 300): 'one S in 8..256',
        ('--samples', 2, '--out', 'x.htm/'): 'x.htm/: the name must end in .html or .htm',
    }
    for arguments, message in cases.items():
        error = refused(TOOL, untrained['toyfaces_32'], '--out', 'page.html', *arguments)
        assert message in error and not Path('page.html').exists()
