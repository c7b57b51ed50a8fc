"""tools/analysis_tools/export_explorer.py: images and their maps, errors, files that exist."""

from __future__ import annotations

import base64
import json
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmcoordgan.apis import load_trained
from mmcoordgan.visualization.explorer import quantize_coords


@pytest.fixture
def run(run_tool):
    return partial(run_tool, 'analysis_tools/export_explorer.py')


def stored(path: str) -> dict:
    page = Path(path).read_text(encoding='utf-8')
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*)</script>', page)[1]
    )


def stored_map(picture: dict, size: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(picture['map']), '<u2').reshape(2, size, size)


def save_picture(path: str, shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)
    Path(path).parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def test_images(run, untrained, capsys):
    """Names without folders, images' own sizes, the encoder's maps of the squared images."""
    checkpoint = untrained['toyfaces_32_encoder']
    pixels = save_picture('a/x.png', (32, 32))
    save_picture('b/x.png', (40, 64), 1)
    run(checkpoint, 'a/x.png', 'b/x.png', '--out', 'page.html', '--title', 'A & B')
    assert capsys.readouterr().out.startswith('page.html: 2 images, 0.')
    found = stored('page.html')
    assert [picture['name'] for picture in found['pictures']] == ['x.png (1)', 'x.png (2)']
    assert [(p['width'], p['height']) for p in found['pictures']] == [(32, 32), (64, 40)]
    networks = load_trained(checkpoint)
    square = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1
    expected = quantize_coords(networks.invert(square).coords[0])
    difference = stored_map(found['pictures'][0], 32).astype(int) - expected
    assert np.abs(difference).max() <= 1  # of 65536; another layout in memory, another rounding
    assert (stored_map(found['pictures'][1], 32) != expected).any()
    assert '<title>A &amp; B</title>' in Path('page.html').read_text(encoding='utf-8')


def test_samples(run, untrained):
    """Of either stage; the same seed gives the same page; maps of any size."""
    for name, checkpoint in untrained.items():
        run(checkpoint, '--samples', 3, '--seed', 1, '--out', f'{name}.html')
        assert len(stored(f'{name}.html')['pictures']) == 3
    first = Path('toyfaces_32.html').read_text(encoding='utf-8')
    checkpoint = untrained['toyfaces_32']
    for out, seed, size in (('same', 1, 32), ('other', 2, 32), ('large', 1, 64)):
        options = ['--seed', seed, '--size', size, '--out', f'{out}.html']
        run(checkpoint, '--samples', 3, *options)
    assert Path('same.html').read_text(encoding='utf-8') == first
    assert Path('other.html').read_text(encoding='utf-8') != first
    generator = load_trained(checkpoint).generator
    z = torch.randn(1, generator.structure_dim, generator=torch.Generator().manual_seed(3))
    coords = generator.warp(generator.map_structure(z), 64)[0]
    found = stored('large.html')['pictures'][2]
    np.testing.assert_array_equal(stored_map(found, 64), quantize_coords(coords))


def test_the_measured_effect_of_rounding(run, untrained, capsys):
    """Beside the nearest pixels over all pairs."""
    checkpoint = untrained['toyfaces_32']
    run(checkpoint, '--samples', 2, '--seed', 11, '--out', 'page.html', '--measure')
    words = capsys.readouterr().out.splitlines()[1].split()
    generator = load_trained(checkpoint).generator
    sources = (torch.Generator().manual_seed(seed) for seed in (11, 12))
    z = torch.cat([torch.randn(1, generator.structure_dim, generator=s) for s in sources])
    exact = generator.warp(generator.map_structure(z)).double().flatten(2).mT
    rounded = torch.from_numpy(quantize_coords(exact).astype(float))
    changed = farther = 0
    for a, b in ((0, 1), (1, 0)):
        distances = (exact[a][:, None] - exact[b]).norm(dim=2)
        nearest = (rounded[a][:, None] - rounded[b]).square().sum(2).argmin(1)
        changed += (nearest != distances.argmin(1)).sum().item()
        reached = distances.gather(1, nearest[:, None])[:, 0]
        farther = max(farther, (reached - distances.amin(1)).max().item() * 31 / 2)
    assert changed > 0
    assert float(words[2].rstrip('%')) == pytest.approx(changed / 2 / 32**2 * 100, abs=0.001)
    assert float(words[words.index('most') + 1]) == pytest.approx(farther, rel=0.1)


def test_errors(run, untrained, capsys):
    stage1, stage2 = untrained.values()
    save_picture('a.png', (32, 32))
    save_picture('in.png', (32, 32))
    Path('in.png').rename('in.html')
    cases = [
        ((stage2, 'a.png'), '2 to 16 images, not 1'),
        ((stage2, '--samples', 17), '2 to 16 images, not 17'),
        ((stage2,), 'either image files or --samples N'),
        ((stage1, 'a.png', 'a.png'), 'stage 1 and has no encoder'),
        (('none.pth', '--samples', 2), 'none.pth does not exist'),
        ((stage1, '--samples', 2, '--size', 300), '--size must be 8 to 256'),
        ((stage1, '--samples', 2, '--out', 'x.htm/'), 'x.htm/: the name must end in .html or .htm'),
        ((stage2, 'a.png', 'in.html', '--out', 'in.html', '--force'), 'in.html is an input'),
    ]
    for arguments, message in cases:
        with pytest.raises(SystemExit) as info:
            run(*arguments, *([] if '--out' in arguments else ['--out', 'page.html']))
        assert info.value.code == 2
        error = capsys.readouterr().err
        assert message in error, error
        assert not Path('page.html').exists()
