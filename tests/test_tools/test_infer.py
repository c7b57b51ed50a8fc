"""tools/infer.py: every verb on files, what it never overwrites, and input that misbehaves."""

from __future__ import annotations

import csv
import os
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from tiny_inversion import EVALUATOR, SIZE, STAGE1, STAGE2, labels, pictures, write_checkpoint

from mmcoordgan.apis import CoordGANInferencer
from mmcoordgan.apis.infer_cli import transfer
from mmcoordgan.apis.infer_cli.main import VERBS, run
from mmcoordgan.apis.infer_cli.parser import EXAMPLES, build_parser
from mmcoordgan.apis.infer_cli.transfer import correspondence_picture
from mmcoordgan.apis.masks import default_palette, write_label_png
from mmcoordgan.apis.pictures import resize_to
from mmcoordgan.apis.results import Correspondence
from mmcoordgan.datasets import BrokenImageError, ToyFaces

TOOL = Path(__file__).parents[2] / 'tools' / 'infer.py'
PALETTE = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90]], np.uint8)


@pytest.fixture(scope='module')
def stage2(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp('stage2') / 'x.pth'
    write_checkpoint(path, test_evaluator=[EVALUATOR])
    return str(path)


@pytest.fixture(scope='module')
def stage1(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp('stage1') / 'x.pth'
    write_checkpoint(path, STAGE1)
    return str(path)


@pytest.fixture
def infer(monkeypatch, capsys):
    """Run the tool; returns the exit code and standard error."""

    def run(*arguments: object) -> tuple[int, str]:
        argv = ['infer.py', *map(str, arguments), '--quiet', '--device', 'cpu']
        monkeypatch.setattr(sys, 'argv', argv)
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(TOOL), run_name='__main__')
        return int(end.value.code or 0), capsys.readouterr().err

    return run


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Pictures faces/a.png, faces/b.jpg, faces/sub/c.png, and a reference with its mask."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'faces' / 'sub').mkdir(parents=True)
    for name, image in zip(('a.png', 'sub/c.png'), pictures(2)):
        Image.fromarray(image).save(tmp_path / 'faces' / name)
    Image.fromarray(pictures(1, 20, 30, seed=5)[0]).save(tmp_path / 'faces' / 'b.jpg')
    Image.fromarray(pictures(1, 24, 40, seed=9)[0]).save(tmp_path / 'one.png')
    write_label_png(tmp_path / 'mask.png', labels(1, 24, 40)[0], PALETTE)
    return tmp_path


LABEL = ('--reference', 'one.png', 'mask.png', '--out', 'labels')


def rows_of(path: str) -> list[dict]:
    with open(path, errors='surrogateescape', newline='') as file:
        return list(csv.DictReader(file))


def below(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob('*') if p.is_file())


def test_labels_keep_names_sizes_and_colours(folder, infer, stage2):
    verb = ('transfer-labels', stage2, 'faces', *LABEL)
    assert infer(*verb, '--overlay', 'look', '--probabilities', 'soft') == (0, '')
    assert below(folder / 'labels') == below(folder / 'look') == ['a.png', 'b.png', 'sub/c.png']
    assert below(folder / 'soft') == ['a.npz', 'b.npz', 'sub/c.npz']
    inferencer = CoordGANInferencer(stage2, device='cpu', show_progress=False)
    expected = inferencer.transfer_labels('one.png', 'mask.png', 'faces')
    for found, name in zip(expected, ('a', 'b', 'sub/c')):
        with Image.open(folder / 'labels' / f'{name}.png') as image:
            assert image.mode == 'P' and np.array_equal(np.array(image), found.labels)
            assert image.getpalette()[:9] == PALETTE.ravel().tolist()
        with np.load(folder / 'soft' / f'{name}.npz') as arrays:
            assert np.array_equal(arrays['probabilities'], found.probabilities)
            assert arrays['classes'].tolist() == [0, 1, 2]
        with Image.open(folder / 'look' / f'{name}.png') as image:
            assert image.size == found.labels.shape[::-1]
    assert expected[1].labels.shape == (20, 30)


def test_grey_masks_get_colours(folder, infer, stage2):
    Image.fromarray(labels(1, 24, 40)[0]).save('mask.png')
    assert infer('transfer-labels', stage2, 'faces/a.png', *LABEL)[0] == 0
    with Image.open('labels/a.png') as image:
        assert image.getpalette()[:9] == default_palette()[:3].ravel().tolist()


def test_several_references_are_fused(folder, infer, stage2):
    Image.fromarray(pictures(1, seed=20)[0]).save('two.png')
    write_label_png('mask2.png', labels(1, seed=20)[0])
    more = ('--reference', 'two.png', 'mask2.png')
    assert infer('transfer-labels', stage2, 'faces', *LABEL, *more)[0] == 0
    inferencer = CoordGANInferencer(stage2, device='cpu', show_progress=False)
    pair = ['one.png', 'two.png'], ['mask.png', 'mask2.png']
    for found, name in zip(inferencer.transfer_labels(*pair, 'faces'), ('a', 'b', 'sub/c')):
        assert np.array_equal(np.array(Image.open(f'labels/{name}.png')), found.labels)


def test_nothing_is_overwritten(folder, infer, stage2):
    (folder / 'labels' / 'sub').mkdir(parents=True)
    (folder / 'labels' / 'sub' / 'c.png').write_text('mine')
    verb = ('transfer-labels', stage2, 'faces', *LABEL)
    code, message = infer(*verb)
    assert code == 2 and 'labels/sub/c.png' in message and '--force' in message
    assert below(folder / 'labels') == ['sub/c.png']  # checked before anything is computed
    assert infer(*verb, '--skip-existing')[0] == 0
    assert (folder / 'labels' / 'sub' / 'c.png').read_text() == 'mine'
    assert below(folder / 'labels') == ['a.png', 'b.png', 'sub/c.png']
    assert infer(*verb, '--force')[0] == 0
    assert np.array(Image.open('labels/sub/c.png')).shape == (SIZE, SIZE)


def test_inputs_are_never_overwritten(folder, infer, stage2):
    before = {name: (folder / name).read_bytes() for name in below(folder)}
    reference = ('--reference', 'one.png', 'mask.png')
    os.symlink('faces', 'link')
    for arguments, message in (
        (('faces', '--out', 'faces'), 'lie in the folder of pictures'),
        (('faces', '--out', 'faces/labels'), 'lie in the folder of pictures'),
        (('link', '--out', 'faces'), 'lie in the folder of pictures'),
        (('faces/a.png', '--out', 'faces'), 'would overwrite the input faces/a.png'),
        (('faces/sub/c.png', 'one.png', '--out', '.'), 'would overwrite the input'),
        (('faces', '--out', 'labels', '--overlay', 'labels'), 'needs its own folder'),
    ):
        code, found = infer('transfer-labels', stage2, *arguments, *reference, '--force')
        assert code == 2 and message in found, found
    for arguments, message in (
        (('correspond', stage2, 'one.png', 'faces/a.png', '--out', 'one.png'), 'end in .npz'),
        (
            ('transfer-points', stage2, 'faces', *LABEL[:2], '--points', 'p.csv', '--out', 'p.csv'),
            'p.csv is an input',
        ),
    ):
        code, found = infer(*arguments, '--force')
        assert code == 2 and message in found, found
    assert {name: (folder / name).read_bytes() for name in before} == before


def test_results_of_two_kinds_never_collide(folder, infer, stage1, stage2):
    Image.fromarray(pictures(1)[0]).save('faces/c.bmp')  # its overlay is the label of sub/c.png
    verb = ('transfer-labels', stage2, 'faces', '--reference', 'one.png', 'mask.png', '--force')
    for out, overlay in (('x', 'x/sub'), ('x/sub', 'x'), ('x', 'x/.')):
        code, message = infer(*verb, '--out', out, '--overlay', overlay)
        assert code == 2 and f'results in {out} and in {overlay} would both be' in message
        assert not Path('x').exists()
    assert infer(*verb, '--out', 'x', '--overlay', 'x/look')[0] == 0
    names = ['a.png', 'b.png', 'c.png', 'sub/c.png']
    assert below(folder / 'x') == sorted([*names, *(f'look/{name}' for name in names)])
    code, message = infer('sample', stage1, '-n', 2, '--out', 'y', '--maps', 'y')
    assert code == 2 and 'needs its own folder' in message


def test_names_that_collide(folder, infer, stage2):
    Image.fromarray(pictures(1)[0]).save('faces/a.bmp')
    verb = ('transfer-labels', stage2, 'faces', *LABEL)
    code, message = infer(*verb)
    assert code == 2 and 'faces/a.bmp and faces/a.png would both be labels/a.png' in message
    assert infer(*verb, '--keep-extension')[0] == 0
    assert below(folder / 'labels') == ['a.bmp.png', 'a.png.png', 'b.jpg.png', 'sub/c.png.png']


def test_unreadable_pictures_are_listed_at_the_end(folder, infer, stage2):
    content = (folder / 'faces' / 'b.jpg').read_bytes()
    (folder / 'faces' / 'half.jpg').write_bytes(content[: len(content) // 2])
    (folder / 'faces' / 'text.png').write_text('no picture')
    os.symlink('circle', folder / 'faces' / 'circle')
    os.symlink('gone.png', folder / 'faces' / 'gone.png')
    os.symlink('.', folder / 'faces' / 'again')
    os.mkfifo(folder / 'faces' / 'pipe.png')
    Image.fromarray(np.full((8, 8), 40000, np.uint16)).save('faces/deep.png')
    Image.fromarray(pictures(1)[0]).convert('CMYK').save('faces/cmyk.jpg')
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pictures(1, 10, 20)[0]).save('faces/turned.jpg', exif=exif)
    code, message = infer('transfer-labels', stage2, 'faces', *LABEL)
    assert code == 1 and 'infer.py: 4 pictures or results were left out:' in message
    assert re.findall(r'faces/(\w+\.\w+): ', message) == [
        'gone.png',
        'half.jpg',
        'pipe.png',
        'text.png',
    ]
    written = below(folder / 'labels')
    assert written == ['a.png', 'b.png', 'cmyk.png', 'deep.png', 'sub/c.png', 'turned.png']
    assert Image.open('labels/turned.png').size == (10, 20)


def test_bombs_are_left_out(folder, infer, stage2, monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 200)  # refused from twice as many on
    code, message = infer('encode', stage2, 'faces', '--out', 'codes')
    assert code == 1 and 'b.jpg: ' in message and 'MAX_IMAGE_PIXELS' in message
    assert below(folder / 'codes') == ['a.npz', 'sub/c.npz']


def test_names_that_are_no_text(folder, infer, stage2):
    name = os.fsdecode(b'\xff\xfe.png')
    os.rename('faces/a.png', f'faces/{name}')
    Path(f'faces/broken{name}').touch()
    os.rename('faces/b.jpg', 'faces/' + 'n' * 250 + '.jpg')
    code, message = infer('transfer-labels', stage2, 'faces', *LABEL)
    assert code == 1 and '2 pictures or results were left out' in message
    assert 'the file is empty' in message and 'File name too long' in message
    assert below(folder / 'labels') == ['sub/c.png', name]
    Path('p.csv').write_text('x,y\n3,4\n')
    points = ('--reference', 'one.png', '--points', 'p.csv', '--out', 'all.csv')
    assert infer('transfer-points', stage2, f'faces/{name}', *points)[0] == 0
    (row,) = rows_of('all.csv')
    assert row['picture'] == f'faces/{name}'


def test_what_cannot_be_done_is_said_first(folder, infer, stage1, stage2):
    write_label_png('small.png', labels(1, 5, 7)[0])
    Path('blocked').touch()
    torch.save({'state_dict': {}}, 'empty.pth')
    Path('text.pth').write_text('hello')
    verb = ('faces', '--reference', 'one.png', 'mask.png')
    for arguments, message in (
        ((stage1, *verb, '--out', 'x'), 'stage 1 and has no encoder'),
        (('none.pth', *verb, '--out', 'x'), 'none.pth does not exist'),
        (('empty.pth', *verb, '--out', 'x'), 'does not hold its config'),
        (('text.pth', *verb, '--out', 'x'), 'text.pth cannot be read'),
        ((stage2, *verb, '--out', 'blocked/x'), 'cannot write into blocked/x: Not a directory'),
        ((stage2, 'gone', *verb[1:], '--out', 'x'), 'there is no picture or folder gone'),
        (
            (stage2, 'faces', '--reference', 'one.png', 'small.png', '--out', 'x'),
            'small.png is 7x5 (width x height), but one.png is 40x24',
        ),
        (
            (stage2, 'faces', '--reference', 'one.png', 'one.png', '--out', 'x'),
            'one.png is a colour picture',
        ),
        ((stage2, *verb, '--out', 'x', '--batch-size', '0'), 'batch_size must be at least 1'),
        ((stage2, *verb, '--out', 'x', '--temperature', '1e-12'), '0 takes the nearest'),
    ):
        code, found = infer('transfer-labels', *arguments)
        assert code == 2 and message in found and len(found.splitlines()) == 1, found
        assert not Path('x').exists() or below(folder / 'x') == []


def test_names_of_overlays_need_overlays(folder, infer, stage2):
    Path('points.csv').write_text('x,y\n1,2\n')
    way = ('transfer-points', stage2, 'faces', '--reference', 'one.png', '--points', 'points.csv')
    code, message = infer(*way, '--out', 'all.csv', '--keep-extension')
    assert code == 2 and 'add --overlay' in message
    assert infer(*way, '--out', 'all.csv', '--keep-extension', '--overlay', 'shown')[0] == 0
    assert below(folder / 'shown') == ['a.png.png', 'b.jpg.png', 'sub/c.png.png']


@pytest.mark.parametrize('error', [PermissionError('gone'), MemoryError('too large')])
def test_pictures_left_out_are_told_however_a_run_ends(folder, stage2, monkeypatch, capsys, error):
    def fail(*arguments):
        raise error

    Path('faces/0.png').write_bytes(b'no picture')
    monkeypatch.setattr(transfer, 'write_npz', fail)
    with pytest.raises((SystemExit, MemoryError)):
        run(argv=['encode', stage2, 'faces', '--out', 'codes', '--quiet'])
    message = capsys.readouterr().err
    assert '1 pictures or results were left out' in message and 'faces/0.png' in message
    assert ('error: gone' in message) == isinstance(error, OSError)


def test_a_full_disk_ends_the_run(folder, infer, stage2, monkeypatch):
    def full(self, *arguments, **settings):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(Image.Image, 'save', full)
    code, message = infer('transfer-labels', stage2, 'faces', *LABEL)
    assert code == 1 and 'No space left on device' in message
    assert below(folder / 'labels') == []


def test_encode_writes_what_the_inferencer_finds(folder, infer, stage2):
    assert infer('encode', stage2, 'faces', '--out', 'codes', '--overview', 'rows')[0] == 0
    found = CoordGANInferencer(stage2, device='cpu', show_progress=False).encode('faces')[1]
    with np.load('codes/b.npz', allow_pickle=False) as arrays:
        assert sorted(arrays) == ['coords', 'shape', 'structure_w', 'texture_w']
        assert arrays['shape'].tolist() == [20, 30]
        assert np.array_equal(arrays['coords'], found.coords)
    assert below(folder / 'rows') == ['a.png', 'b.png', 'sub/c.png']


def test_correspond_writes_matches(folder, infer, stage2):
    verb = ('correspond', stage2, 'one.png', 'faces/b.jpg', '--out', 'm.npz')
    assert infer(*verb, '--overview', 'm.png', '--refine', 2)[0] == 0
    inferencer = CoordGANInferencer(stage2, device='cpu', show_progress=False)
    expected = inferencer.correspond('one.png', 'faces/b.jpg', refine=2)
    with np.load('m.npz') as arrays:
        assert arrays['matches'].shape == (2, 24, 40)
        for name, values in expected._asdict().items():
            assert np.array_equal(arrays[name], values), name
    with Image.open('m.png') as image:
        assert image.size == (4 * 122 + 2, 124)  # cells of 40 pixels, three times enlarged
    code, message = infer(*verb)
    assert code == 2 and 'm.npz exists already' in message


def test_the_overview_shows_b_where_it_belongs_in_a():
    a, b = pictures(1, 60, 128)[0], pictures(1, 50, 90, seed=1)[0]
    x, y = np.meshgrid((np.arange(128) + 0.5) * 90 / 128 - 0.5, (np.arange(60) + 0.5) * 50 / 60)
    matches = np.stack([x[:, ::-1], y - 0.5]).astype(np.float32)  # mirrored
    sure = np.full((60, 128), 0.5, np.float32)
    drawn = correspondence_picture(a, b, Correspondence(matches, sure, sure))
    cells = [drawn[2:130, 2 + 130 * k : 130 + 130 * k].astype(int) for k in range(4)]
    assert np.abs(cells[0] - resize_to(a, (128, 128))).max() == 0
    assert np.abs(cells[2] - cells[1][:, ::-1]).mean() < 2
    assert (cells[3] == 128).all()


def test_points_arrive(folder, infer, stage2):
    Path('p.csv').write_text('label,x,y\nnose,10.5,12\nmouth,3,4\n')
    verb = ('transfer-points', stage2, 'faces', '--reference', 'one.png', '--points')
    assert infer(*verb, 'p.csv', '--out', 'all.csv', '--overlay', 'look')[0] == 0
    inferencer = CoordGANInferencer(stage2, device='cpu', show_progress=False)
    expected = inferencer.transfer_points('one.png', [[10.5, 12], [3, 4]], 'faces')
    rows = rows_of('all.csv')
    assert [row['label'] for row in rows] == ['nose', 'mouth'] * 3
    found = [[float(row['x']), float(row['y'])] for row in rows]
    assert np.allclose(found, np.concatenate([e.points for e in expected]), atol=1e-3)
    assert below(folder / 'look') == ['a.png', 'b.png', 'sub/c.png']
    Path('p.csv').write_text('label,x,y\nnose,100,12\n')
    code, message = infer(*verb, 'p.csv', '--out', 'more.csv')
    assert code == 2 and 'the point (100, 12) lies outside one.png, which is 40x24' in message
    assert not Path('more.csv').exists()


def test_textures_get_folders(folder, infer, stage2):
    verb = ('swap-texture', stage2, '--structure', 'faces', '--texture', 'one.png')
    assert infer(*verb, '--out', 'x')[0] == 0
    assert below(folder / 'x') == ['a.png', 'b.png', 'sub/c.png']
    assert Image.open('x/b.png').size == (30, 20)
    assert infer(*verb, 'faces/sub/c.png', '--out', 'y')[0] == 0
    assert below(folder / 'y')[:3] == ['c/a.png', 'c/b.png', 'c/sub/c.png']
    assert (folder / 'y/one/b.png').read_bytes() == (folder / 'x/b.png').read_bytes()
    Image.fromarray(pictures(1)[0]).save('c.bmp')
    code, message = infer(*verb, 'faces/sub/c.png', 'c.bmp', '--out', 'z')
    assert code == 2 and 'the textures faces/sub/c.png and c.bmp would both be' in message


def test_a_texture_that_cannot_be_read_ends_the_run(folder, infer, stage2):
    Path('broken.png').touch()
    verb = ('swap-texture', stage2, '--structure', 'faces', '--texture', 'one.png', 'broken.png')
    code, message = infer(*verb, '--out', 'x')
    assert code == 2 and 'broken.png' in message and len(message.splitlines()) == 1
    assert below(folder / 'x') == []


def test_the_colours_of_drawn_points():
    image = np.zeros((300, 300, 3), np.uint8)
    points = np.array([[20, 30], [200, 50], [60, 250]], np.float32)
    drawn = transfer.draw_points(image, points)
    for number, (x, y) in enumerate(points.astype(int)):
        assert np.array_equal(drawn[y, x], default_palette()[number + 1])
    small = transfer.draw_points(image[:100, :128], points[:1])  # twice as large
    assert small.shape == (200, 256, 3)
    assert np.array_equal(small[60, 40], default_palette()[1])
    assert not image.any()


def test_samples_and_ways(folder, infer, stage1):
    verb = ('sample', stage1, '-n', 2, '--seed', 3, '--truncation', 0.5, 1, '--out', 'x')
    assert infer(*verb, '--maps', 'maps')[0] == 0
    assert below(folder / 'x') == below(folder / 'maps') == ['seed0003.png', 'seed0004.png']
    inferencer = CoordGANInferencer(stage1, device='cpu', show_progress=False)
    expected = inferencer.sample(2, 3, (0.5, 1.0))
    assert np.array_equal(np.array(Image.open('x/seed0004.png')), expected[1].image)
    assert infer(*verb)[0] == 2
    way = ('interpolate', stage1, 'seed:3', 'seed:4', '--frames', 5, '--out')
    assert infer(*way, 'way.gif', '--part', 'both', '--fps', 20)[0] == 0
    with Image.open('way.gif') as animation:
        assert animation.n_frames == 5 and animation.info['duration'] == 50
    assert infer(*way, 'frames', '--part', 'texture')[0] == 0
    frames = inferencer.interpolate(3, 4, 5, part='texture')
    assert below(folder / 'frames') == [f'frame000{n}.png' for n in range(5)]
    assert np.array_equal(np.array(Image.open('frames/frame0002.png')), frames[2].image)
    for arguments, message in (
        (('sample', stage1, '-n', 0, '--out', 'n'), '-n must be at least 1'),
        (('sample', stage1, '--truncation', 'nan', '--out', 'n'), 'truncation must be a number'),
        (('interpolate', stage1, 'seed:x', 'seed:1', '--out', 'n'), 'seed:x names no seed'),
        (('interpolate', stage1, 'none.png', 'seed:1', '--out', 'n'), 'stage 1'),
    ):
        code, found = infer(*arguments)
        assert code == 2 and message in found, found


def test_ways_that_cannot_be_gone(folder, infer, stage1, stage2, monkeypatch):
    monkeypatch.setattr(CoordGANInferencer, '_render', pytest.fail)  # all is said before
    (folder / 'frames').mkdir()
    Image.fromarray(pictures(1)[0]).save('frames/frame0000.png')
    before = (folder / 'frames' / 'frame0000.png').read_bytes()
    pair, seeds = ('faces/a.png', 'one.png'), ('seed:1', 'seed:2')
    for arguments, message in (
        ((stage2, 'frames/frame0000.png', 'one.png', '--out', 'frames'), 'overwrite the input'),
        ((stage2, 'one.png', 'frames/frame0000.png', '--out', 'frames'), 'overwrite the input'),
        ((stage1, *seeds, '--out', 'x.gif', '--refine', 7), 'both ends are seeds'),
        ((stage1, *seeds, '--out', 'x', '--fps', 20), '--fps is for GIFs'),
        ((stage1, *seeds, '--out', 'x.webp'), 'x.webp must be a .gif, or a folder'),
        ((stage1, *seeds, '--out', 'x.MP4'), 'x.MP4 must be a .gif, or a folder'),
        ((stage2, *pair, '--out', 'x.gif', '--fps', 0.001), 'must lie in 1..50, but is 0.001'),
        ((stage2, *pair, '--out', 'x.gif', '--fps', 51), 'must lie in 1..50, but is 51'),
        ((stage2, *pair, '--out', 'x.gif', '--fps', 'nan'), 'must lie in 1..50, but is nan'),
    ):
        code, found = infer('interpolate', *arguments, '--force')
        assert code == 2 and message in found.splitlines()[-1], found
        assert list(Path().glob('x*')) == []
    assert (folder / 'frames' / 'frame0000.png').read_bytes() == before


@pytest.mark.parametrize('fps, milliseconds', [(None, 100), (1, 1000), (30, 30), (50, 20)])
def test_gifs_count_in_hundredths(folder, infer, stage1, fps, milliseconds):
    rate = () if fps is None else ('--fps', fps)
    way = ('interpolate', stage1, 'seed:1', 'seed:2', '--frames', 3, '--part', 'both')
    assert infer(*way, '--out', 'x.gif', *rate)[0] == 0
    with Image.open('x.gif') as animation:
        assert animation.info['duration'] == milliseconds


def test_weights_that_a_checkpoint_may_not_choose(folder, infer, tmp_path):
    perceptual = dict(type='LPIPSLoss', vgg_weights='mine.pth')
    write_checkpoint(tmp_path / 'x.pth')
    content = torch.load(tmp_path / 'x.pth', weights_only=True)
    model = {**STAGE2, 'perceptual': perceptual}
    content['meta']['cfg'] = Config({'model': model}).pretty_text
    torch.save(content, tmp_path / 'x.pth')
    refined = ('--out', 'codes', '--refine', 2)
    code, message = infer('encode', 'x.pth', 'faces', *refined)
    assert code == 2 and '(--vgg-weights)' in message and len(message.splitlines()) == 1


def test_weights_that_nothing_would_read(folder, infer, stage2):
    given = ('encode', stage2, 'faces', '--out', 'codes', '--vgg-weights', 'mine.pth')
    code, message = infer(*given)
    assert code == 2 and 'add --refine STEPS' in message
    code, message = infer(*given, '--refine', 2)
    assert code == 2 and 'without VGG16: drop vgg_weights (--vgg-weights)' in message
    assert not any(Path('codes').iterdir())


@pytest.mark.parametrize('verb', ['encode', 'transfer-labels'])
def test_skipping_and_overwriting_exclude_each_other(folder, infer, stage2, verb):
    more = LABEL if verb == 'transfer-labels' else ('--out', 'codes')
    code, message = infer(verb, stage2, 'faces', *more, '--skip-existing', '--force')
    assert code == 2 and 'not allowed with argument' in message


def test_ctrl_c_keeps_what_is_written(folder, infer, stage2, monkeypatch):
    whole = CoordGANInferencer._carry_labels

    def interrupted(self, *arguments):
        for number, found in enumerate(whole(self, *arguments)):
            if number == 2:
                raise KeyboardInterrupt
            yield found

    monkeypatch.setattr(CoordGANInferencer, '_carry_labels', interrupted)
    code, message = infer('transfer-labels', stage2, 'faces', *LABEL)
    assert code == 130 and 'interrupted' in message
    assert below(folder / 'labels') == ['a.png', 'b.png']


@pytest.mark.parametrize('error, code', [(KeyboardInterrupt(), 130), (OSError(28, 'full'), 1)])
def test_points_are_kept_when_a_run_ends_early(folder, infer, stage2, monkeypatch, error, code):
    Path('p.csv').write_text('x,y\n3,4\n')
    verb = ('transfer-points', stage2, 'faces', '--reference', 'one.png', '--points', 'p.csv')
    assert infer(*verb, '--out', 'whole.csv')[0] == 0
    write, drawn = transfer.write_png, []

    def ends_early(path, image):
        drawn.append(path)
        if len(drawn) == 2:
            raise error
        write(path, image)

    monkeypatch.setattr(transfer, 'write_png', ends_early)
    assert infer(*verb, '--out', 'all.csv', '--overlay', 'look')[0] == code
    assert rows_of('all.csv') == rows_of('whole.csv')[:2]


def test_a_picture_that_goes_away_costs_its_overlay(folder, infer, stage2, monkeypatch):
    read = transfer.original

    def gone(source):
        if str(source).endswith('b.jpg'):
            raise BrokenImageError(f'cannot read {source}: gone')
        return read(source)

    monkeypatch.setattr(transfer, 'original', gone)
    Path('p.csv').write_text('x,y\n3,4\n')
    points = ('faces', '--reference', 'one.png', '--points', 'p.csv', '--out', 'all.csv')
    code, message = infer('transfer-points', stage2, *points, '--overlay', 'look')
    assert code == 1 and 'cannot read faces/b.jpg: gone' in message
    assert len(rows_of('all.csv')) == 3 and below(folder / 'look') == ['a.png', 'sub/c.png']
    code, message = infer('transfer-labels', stage2, 'faces', *LABEL, '--overlay', 'shown')
    assert code == 1 and 'cannot read faces/b.jpg: gone' in message
    assert below(folder / 'labels') == ['a.png', 'b.png', 'sub/c.png']
    pair = ('one.png', 'faces/b.jpg', '--out', 'm.npz', '--overview', 'm.png')
    code, message = infer('correspond', stage2, *pair)
    assert code == 1 and 'gone' in message and Path('m.npz').exists()


def test_true_labels_of_toy_faces(folder, infer, stage2):
    """Carried from a picture to itself, to the nearest pixel, they come back."""
    faces = ToyFaces(size=32, length=1, seed=0).get_data_info(0)
    Image.fromarray(faces['img']).save('face.png')
    write_label_png('face_mask.png', faces['gt_seg_map'])
    reference = ('--reference', 'face.png', 'face_mask.png')
    out = ('--out', 'labels', '--temperature', 0)
    assert infer('transfer-labels', stage2, 'face.png', *reference, *out)[0] == 0
    found = np.array(Image.open('labels/face.png'))
    assert (found == faces['gt_seg_map']).mean() > 0.9  # the maps are half as fine
    assert set(np.unique(found)) <= set(np.unique(faces['gt_seg_map']))


@pytest.mark.parametrize('verb', VERBS)
def test_help_shows_an_example_that_parses(verb, infer, capsys):
    assert infer(verb, '--help')[0] == 0
    lines = EXAMPLES[verb].replace('\\\n', ' ').splitlines()
    commands = [line.split()[1:] for line in lines if line.startswith('  infer.py ')]
    assert commands
    for command in commands:
        assert build_parser('infer.py').parse_args(command).verb == verb
