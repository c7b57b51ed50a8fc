"""tools/analysis_tools/inspect_generator.py: figures of a checkpoint, and clear errors."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmcoordgan.apis.plain_config import read_setting
from mmcoordgan.models import CoordGAN
from mmcoordgan.registry import MODELS

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs' / 'coordgan' / 'toyfaces_32.py'


def run(monkeypatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, 'argv', ['inspect_generator.py', *map(str, arguments)])
    runpy.run_path(
        str(ROOT / 'tools' / 'analysis_tools' / 'inspect_generator.py'), run_name='__main__'
    )


def test_an_untrained_checkpoint_equals_the_baseline(tmp_path, monkeypatch, capsys):
    cfg = Config.fromfile(CONFIG)
    model = cfg.model.to_dict()
    model.pop('type')
    torch.manual_seed(0)
    model = CoordGAN(**model)
    path = tmp_path / 'x.pth'
    torch.save({'state_dict': model.state_dict(), 'meta': {'cfg': cfg.pretty_text}}, path)
    run(monkeypatch, path, '--samples', 4)
    lines = capsys.readouterr().out.splitlines()[2:]
    assert len(lines) == 5
    for line in lines:
        untrained, trained = map(float, line.split()[-2:])
        assert untrained == trained, line


def test_errors(tmp_path, monkeypatch, capsys):
    torch.save({'state_dict': {'encoder.weight': torch.zeros(1)}}, tmp_path / 'stage2.pth')
    for path, message in (
        (tmp_path / 'none.pth', r'none.pth does not exist'),
        (tmp_path / 'stage2.pth', 'holds no generator_ema with its config'),
    ):
        with pytest.raises(SystemExit):
            run(monkeypatch, path)
        assert message in capsys.readouterr().err


MKDIR = "dict(type='os.mkdir', path='executed')"
HOSTILE = {
    'a program': 'import os\nos.mkdir("executed")\nmodel = dict(generator=dict())',
    'a function by its name': f'model = dict(generator={MKDIR})',
    'an argument': f"model = dict(generator=dict(type='CoordGANGenerator', image_size={MKDIR}))",
    'nonsense': 'model = ' + '(' * 5000,
    'a list': 'model = []',
}


@pytest.mark.parametrize('text', HOSTILE.values(), ids=HOSTILE)
def test_the_config_in_a_checkpoint_is_not_run(text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    state = {'generator_ema.x': torch.zeros(1)}
    torch.save({'state_dict': state, 'meta': {'cfg': text}}, 'bad.pth')
    with pytest.raises(SystemExit):
        run(monkeypatch, 'bad.pth')
    assert 'error: bad.pth is no checkpoint of stage 1' in capsys.readouterr().err
    assert not Path('executed').exists()


def test_a_function_by_its_name_would_run(tmp_path, monkeypatch):
    """What the test above guards against: MMEngine builds whatever a type names."""
    monkeypatch.chdir(tmp_path)
    MODELS.build(read_setting(HOSTILE['a function by its name'], 'model')['generator'])
    assert Path('executed').is_dir()


def test_other_content_is_an_error(tmp_path, monkeypatch, capsys):
    torch.save([1, 2], tmp_path / 'list.pth')
    with pytest.raises(SystemExit):
        run(monkeypatch, tmp_path / 'list.pth')
    assert 'list.pth is no checkpoint of stage 1' in capsys.readouterr().err
