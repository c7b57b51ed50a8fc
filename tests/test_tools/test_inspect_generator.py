"""tools/analysis_tools/inspect_generator.py: figures of a checkpoint, and clear errors."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmcoordgan.models import CoordGAN

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
    torch.save({'state_dict': {'encoder.weight': torch.zeros(1)}}, tmp_path / 'bare.pth')
    for name, message in (
        ('none.pth', 'none.pth does not exist'),
        ('bare.pth', 'bare.pth cannot be used: it does not hold its config'),
    ):
        with pytest.raises(SystemExit):
            run(monkeypatch, tmp_path / name)
        assert message in capsys.readouterr().err
