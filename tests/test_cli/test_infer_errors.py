"""tools/infer.py on input that misbehaves."""

import os
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from test_infer import LABEL, below, rows_of
from tiny_inversion import STAGE2

from mmcoordgan.cli import infer as cli
from mmcoordgan.cli.checks import check_training
from mmcoordgan.cli.outputs import OutputFolder
from mmcoordgan.datasets import BrokenImageError


@pytest.mark.parametrize('error, code', [(KeyboardInterrupt(), 130), (OSError(28, 'full'), 1)])
def test_points_are_kept_when_a_run_ends_early(folder, infer, stage2, monkeypatch, error, code):
    verb = ('transfer-points', stage2, 'faces', '--reference', 'one.png', '--points', 'p.csv')
    assert infer(*verb, '--out', 'whole')[0] == 0
    draw, drawn = cli.draw_points, []

    def ends_early(*arguments):
        drawn.append(arguments)
        if len(drawn) == 2:
            raise error
        return draw(*arguments)

    monkeypatch.setattr(cli, 'draw_points', ends_early)
    assert infer(*verb, '--out', 'x', '--overlay')[0] == code
    assert rows_of('x/points.csv') == rows_of('whole/points.csv')[:4]


def test_unreadable_images_are_listed_at_the_end(folder, infer, stage2, capsys):
    content = (folder / 'faces' / 'b.jpg').read_bytes()
    (folder / 'faces' / 'half.jpg').write_bytes(content[: len(content) // 2])
    (folder / 'faces' / 'text.png').write_text('no image')
    for name in ('phone.HEIC', 'phone.heic', '.hidden.heic'):
        (folder / 'faces' / name).touch()
    os.symlink('circle', folder / 'faces' / 'circle')
    os.symlink('gone.png', folder / 'faces' / 'gone.png')
    os.symlink('.', folder / 'faces' / 'again')
    os.mkfifo(folder / 'faces' / 'pipe.png')
    code, message = infer('transfer-labels', stage2, 'faces', *LABEL)
    assert code == 1 and 'infer.py: 4 images or results were left out:' in message
    assert 'faces: not read as images: 2 .heic, 1 no extension' in message
    dataset = dict(type='ImageFolder', data_root='faces')
    loaders = dict(train_cfg={}, train_dataloader=dict(dataset=dataset))
    check_training(Config(dict(model={}, **loaders)))
    assert 'faces: not read as images: 2 .heic, 1 no extension' in capsys.readouterr().err
    left_out = re.findall(r'faces/(\w+\.\w+): ', message)
    assert left_out == ['gone.png', 'half.jpg', 'pipe.png', 'text.png']
    assert below('x/labels') == ['a.png', 'b.png', 'sub/c.png']


def test_what_cannot_be_done_is_said_first(folder, infer, stage1, stage2, monkeypatch):
    monkeypatch.setattr(OutputFolder, 'save', pytest.fail)
    Path('blocked').touch()
    transfer, verb = 'transfer-labels', ('faces', '--reference', 'one.png', 'mask.png')
    pair, seeds = ('faces/a.png', 'one.png'), ('seed:1', 'seed:2')
    lpips = dict(STAGE2, perceptual=dict(type='LPIPSLoss', vgg_weights='mine.pth'))
    content = torch.load(stage2, weights_only=True)
    content['meta']['cfg'] = Config({'model': lpips}).pretty_text
    torch.save(content, 'lpips.pth')
    for arguments, message in (
        ((transfer, 'none.pth', *verb), 'none.pth does not exist'),
        ((transfer, 'faces64', *verb), 'faces64 does not exist; did you mean faces_64?'),
        ((transfer, stage2, *verb, '--out', 'blocked/x'), 'cannot write into blocked/x: Not a dir'),
        ((transfer, stage2, *verb, '--out', '/proc', '--force'), 'cannot write into /proc: '),
        ((transfer, stage2, 'gone', *verb[1:]), 'there is no image or folder gone'),
        ((transfer, stage2, *verb, '--scale', 0), 'must be at least 1, but is 0'),
        (('interpolate', stage1, 'seed:x', 'seed:1'), 'seed:x names no seed'),
        (('interpolate', stage1, *seeds, '--refine', 7), 'both ends are seeds'),
        (('interpolate', stage2, *pair, '--fps', 0.001), 'must lie in 1..50, but is 0.001'),
        (('interpolate', stage2, *pair, '--fps', 'nan'), 'must lie in 1..50, but is nan'),
        (('encode', 'lpips.pth', 'faces', '--refine', 2), '(--vgg-weights)'),
        (('encode', stage2, 'faces', '--vgg-weights', 'mine.pth'), 'add --refine STEPS'),
    ):
        out = () if '--out' in arguments else ('--out', 'x')
        code, found = infer(*arguments, *out)
        assert code == 2 and message in found.splitlines()[-1], found
        assert not Path('x').exists() or below('x') == []


def test_an_image_that_goes_away_costs_its_drawing(folder, infer, stage2, monkeypatch):
    read = cli.original

    def gone(source):
        if str(source).endswith('b.jpg'):
            raise BrokenImageError(f'cannot read {source}: gone')
        return read(source)

    monkeypatch.setattr(cli, 'original', gone)
    code, message = infer('transfer-labels', stage2, 'faces', *LABEL, '--overlay')
    assert code == 1 and 'cannot read faces/b.jpg: gone' in message
    assert below('x/labels') == ['a.png', 'b.png', 'sub/c.png']
    assert below('x/overlay') == ['a.png', 'sub/c.png']
    code, message = infer('correspond', stage2, 'one.png', 'faces/b.jpg', '--out', 'z')
    assert code == 1 and 'gone' in message and below('z') == ['matches.npz']
