"""tools/infer.py: every verb on files, what it never overwrites, and input that misbehaves."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_inversion import PALETTE, labels, pictures

from mmcoordgan.cli import infer as cli
from mmcoordgan.cli.infer_options import build_parser
from mmcoordgan.datasets.label_files import default_palette, full_palette
from mmcoordgan.visualization import overlay_labels

LABEL = ('--reference', 'one.png', 'mask.png', '--out', 'x')


def rows_of(path: str) -> list[dict]:
    with open(path, errors='surrogateescape', newline='') as file:
        return list(csv.DictReader(file))


def below(root: str) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in Path(root).rglob('*') if p.is_file())


def pixels(path: str) -> np.ndarray:
    return np.array(Image.open(path))


def test_labels_keep_names_sizes_and_colours(folder, infer, stage2, inferencer):
    more = ('--overlay', '--probabilities', '--scale', 2)
    assert infer('transfer-labels', stage2, 'faces', *LABEL, *more) == (0, '')
    names = ('a', 'b', 'sub/c')
    assert below('x/labels') == below('x/overlay') == [f'{name}.png' for name in names]
    expected = inferencer.transfer_labels('one.png', 'mask.png', 'faces')
    for found, name in zip(expected, names):
        with Image.open(f'x/labels/{name}.png') as image:
            assert image.mode == 'P' and np.array_equal(np.array(image), found.labels)
            assert image.getpalette()[:9] == PALETTE.ravel().tolist()
        with np.load(f'x/probabilities/{name}.npz') as arrays:
            assert np.array_equal(arrays['probabilities'], found.probabilities)
            assert arrays['classes'].tolist() == [0, 1, 2]
        image = np.array(Image.open(found.name))
        overlay = overlay_labels(image, found.labels, full_palette(PALETTE))
        assert np.array_equal(pixels(f'x/overlay/{name}.png')[1::2, ::2], overlay)
    assert expected[1].labels.shape == (20, 30)


def test_several_references_and_ignored_labels(folder, infer, stage2, inferencer):
    masks = labels(1, 24, 40)[0], labels(1, seed=20)[0]
    masks[0][:12] = 255
    Image.fromarray(pictures(1, seed=20)[0]).save('two.png')
    for name, mask in zip(('mask.png', 'mask2.png'), masks):
        Image.fromarray(mask).save(name)
    more = ('--reference', 'two.png', 'mask2.png', '--ignore-label', 255)
    assert infer('transfer-labels', stage2, 'faces/a.png', *LABEL, *more)[0] == 0
    references = ['one.png', 'two.png'], list(masks)
    (expected,) = inferencer.transfer_labels(*references, 'faces/a.png', ignore_label=255)
    assert expected.labels.max() < 255  # the second reference labels all
    with Image.open('x/labels/a.png') as image:  # grey masks get colours
        assert np.array_equal(np.array(image), expected.labels)
        assert image.getpalette()[:9] == default_palette()[:3].ravel().tolist()


def test_encode_writes_what_the_inferencer_finds(folder, infer, stage2, inferencer):
    assert infer('encode', stage2, 'faces', '--out', 'x', '--overview')[0] == 0
    found = inferencer.encode('faces')[1]
    with np.load('x/codes/b.npz', allow_pickle=False) as arrays:
        assert sorted(arrays) == ['coords', 'crop', 'shape', 'structure_w', 'texture_w']
        assert arrays['shape'].tolist() == [20, 30]
        assert np.array_equal(arrays['coords'], found.coords)
    assert np.array_equal(pixels('x/overview/b.png'), inferencer.overview(found))


def test_correspond_writes_matches(folder, infer, stage2, inferencer):
    pair = ('one.png', 'faces/b.jpg')
    assert infer('correspond', stage2, *pair, '--out', 'x', '--refine', 2)[0] == 0
    expected = inferencer.correspond(*pair, refine=2)
    with np.load('x/matches.npz') as arrays:
        assert arrays['matches'].shape == (2, 24, 40)
        for name in arrays:
            assert np.array_equal(arrays[name], getattr(expected, name)), name
    assert pixels('x/matches.png').shape[:2] == (124, 4 * 122 + 2)  # cells of 40 pixels, x 3


def test_doubtful_images_are_listed(folder, infer, stage2):
    content = torch.load(stage2)
    held_out = dict(scores=[0.0], doubts=[0.0, 1.0], errors=[0.5, 0.5])
    torch.save({**content, 'held_out': held_out}, 'known.pth')
    code, message = infer('transfer-labels', 'known.pth', 'faces', *LABEL)
    assert code == 0 and len(below('x/labels')) == 3
    names = ['one.png', 'faces/a.png', 'faces/b.jpg', 'faces/sub/c.png']
    lines = message.splitlines()
    assert '4 images are unlike what the model knows' in lines[0]
    assert [line.strip() for line in lines[1:]] == names
    rows = rows_of('x/domain.csv')
    assert [row['picture'] for row in rows] == names
    assert {(row['percentile'], row['doubtful']) for row in rows} == {('100', '1')}
    infer('transfer-labels', 'known.pth', 'faces', *LABEL, '--skip-existing')
    assert [row['picture'] for row in rows_of('x/domain.csv')] == names  # each image once
    infer('transfer-labels', 'known.pth', 'faces/a.png', *LABEL, '--force')
    assert [row['picture'] for row in rows_of('x/domain.csv')] == names[:2]
    assert infer('encode', 'known.pth', 'faces', '--out', 'y', '--no-domain') == (0, '')
    points = ('--reference', 'one.png', '--points', 'p.csv', '--out', 'z')
    infer('transfer-points', 'known.pth', 'faces/b.jpg', *points)
    assert {row['expected_error'] for row in rows_of('z/points.csv')} == {'12.25'}  # of 20 x 30


def test_points_arrive(folder, infer, stage2, inferencer):
    verb = ('transfer-points', stage2, 'faces', '--reference', 'one.png', '--points', 'p.csv')
    assert infer(*verb, '--out', 'x', '--overlay')[0] == 0
    expected = inferencer.transfer_points('one.png', [[10.5, 12], [3, 4]], 'faces')
    rows = rows_of('x/points.csv')
    assert [row['picture'] for row in rows[::2]] == [found.name for found in expected]
    assert [row['label'] for row in rows] == ['nose', "'=mouth"] * 3  # no formula
    found = [[float(row['x']), float(row['y'])] for row in rows]
    assert np.allclose(found, np.concatenate([e.points for e in expected]), atol=1e-3)
    sure = [float(row['confidence']) for row in rows]
    assert np.allclose(sure, np.concatenate([e.confidence for e in expected]), atol=1e-4)
    assert below('x/overlay') == ['a.png', 'b.png', 'sub/c.png']
    Path('p.csv').write_text('label,x,y\nnose,100,12\n')
    code, message = infer(*verb, '--out', 'y')
    assert code == 2 and 'the point (100, 12) is outside one.png (40x24)' in message


def test_textures_get_folders(folder, infer, stage2, inferencer):
    verb = ('swap-texture', stage2, '--structure', 'faces', '--texture', 'one.png')
    assert infer(*verb, 'faces/sub/c.png', '--out', 'x', '--scale', 3)[0] == 0
    names = ('a.png', 'b.png', 'sub/c.png')
    assert below('x') == [f'images/{texture}/{name}' for texture in ('c', 'one') for name in names]
    expected = inferencer.swap_texture('faces', 'one.png')[1][0].image
    assert np.array_equal(pixels('x/images/one/b.png')[::3, 1::3], expected)
    Path('broken.png').touch()
    code, message = infer(*verb, 'broken.png', '--out', 'z')
    assert code == 2 and 'broken.png' in message and len(message.splitlines()) == 1
    assert below('z') == []


def test_samples(folder, infer, stage1, sampler):
    verb = ('sample', stage1, '-n', 2, '--seed', 3, '--truncation', 0.5, 1, '--out', 'x')
    assert infer(*verb, '--maps')[0] == 0
    names = ['seed0003.png', 'seed0004.png']
    assert below('x/images') == below('x/maps') == names and len(below('x')) == 4
    expected = sampler.sample(2, 3, (0.5, 1.0))
    assert np.array_equal(pixels('x/images/seed0004.png'), expected[1].image)


@pytest.mark.parametrize('fps, milliseconds', [(None, 100), (1, 1000), (30, 30), (50, 20)])
def test_frames(folder, infer, stage1, sampler, fps, milliseconds):
    """GIFs count in hundredths of a second."""
    rate = () if fps is None else ('--fps', fps)
    way = ('interpolate', stage1, 'seed:3', 'seed:4', '--frames', 5, '--part', 'both')
    assert infer(*way, '--out', 'x', *rate)[0] == 0
    frames = sampler.interpolate(3, 4, 5, part='both')
    assert below('x') == ['frames.gif', *(f'frames/frame000{n}.png' for n in range(5))]
    assert np.array_equal(pixels('x/frames/frame0002.png'), frames[2].image)
    with Image.open('x/frames.gif') as animation:
        assert animation.n_frames == 5 and animation.info['duration'] == milliseconds


def test_folders_that_hold_something(folder, infer, stage2, run_tool, capsys):
    (folder / 'x' / 'labels').mkdir(parents=True)
    (folder / 'x' / 'labels' / 'b.png').write_text('mine')
    verb = ('transfer-labels', stage2, 'faces', *LABEL)
    code, message = infer(*verb)
    assert code == 2 and 'x is not empty: give a new folder, or --force' in message
    assert below('x') == ['labels/b.png']  # checked before anything is computed
    with pytest.raises(SystemExit):
        run_tool('infer.py', *verb, '--skip-existing')
    assert capsys.readouterr().out.endswith('x: 2 files, 1 results of an earlier run\n')
    assert Path('x/labels/b.png').read_text() == 'mine' and len(below('x')) == 3
    assert infer(*verb, '--force')[0] == 0
    assert pixels('x/labels/b.png').shape == (20, 30)
    assert 'not allowed with argument' in infer(*verb, '--force', '--skip-existing')[1]


def test_inputs_are_never_overwritten(folder, infer, stage2):
    os.symlink('faces', 'link')
    before = {name: (folder / name).read_bytes() for name in below('.')}
    reference = ('--reference', 'one.png', 'mask.png', '--force')
    for images, out in (
        ('faces', 'faces'),
        ('faces', 'faces/labels'),
        ('link', 'faces'),
        ('faces/a.png', 'faces'),
        ('faces/a.png', '.'),
    ):
        code, found = infer('transfer-labels', stage2, images, '--out', out, *reference)
        assert code == 2 and f'{out} holds the input {images} or lies in it' in found, found
    for inputs in (('faces/a.png', 'one.png'), ('seed:1', 'faces/a.png')):
        code, found = infer('interpolate', stage2, *inputs, '--out', 'faces', '--force')
        assert code == 2 and 'faces holds the input faces/a.png' in found
    assert {name: (folder / name).read_bytes() for name in below('.')} == before


def test_names_that_collide(folder, infer, stage2):
    Image.fromarray(pictures(1)[0]).save('faces/a.bmp')
    assert infer('transfer-labels', stage2, 'faces', *LABEL)[0] == 0
    assert below('x/labels') == ['a.bmp.png', 'a.png.png', 'b.png', 'sub/c.png']
    Image.fromarray(pictures(1)[0]).save('c.png')
    code, message = infer('encode', stage2, 'faces/sub', 'c.png', '--out', 'y')
    assert code == 2 and 'faces/sub/c.png and c.png have the same name' in message


@pytest.mark.parametrize('verb', cli.VERBS)
def test_help_shows_an_example_that_parses(verb, infer):
    assert infer(verb, '--help')[0] == 0
    lines = cli.VERBS[verb].__doc__.replace('\\\n', ' ').splitlines()
    commands = [line.split()[1:] for line in lines if line.startswith('    infer.py ')]
    assert commands
    for command in commands:
        assert build_parser('infer.py', cli.VERBS).parse_args(command).verb == verb
