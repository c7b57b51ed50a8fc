"""Checkpoints that are quick to make, tools that run in this process."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmcoordgan.models import CoordGAN, CoordGANInversion

ROOT = Path(__file__).parents[2]
MODELS = {'toyfaces_32': CoordGAN, 'toyfaces_32_encoder': CoordGANInversion}


@pytest.fixture(scope='session')
def untrained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Checkpoints of both stages' toy configs, by these configs' names."""
    folder, paths = tmp_path_factory.mktemp('untrained'), {}
    for name, kind in MODELS.items():
        cfg = Config.fromfile(ROOT / 'configs' / 'coordgan' / f'{name}.py')
        if kind is CoordGANInversion:
            cfg.model.refinement.steps = 2
        model = cfg.model.to_dict()
        model.pop('type')
        model.pop('stage1_checkpoint', None)
        torch.manual_seed(0)
        paths[name] = folder / f'{name}.pth'
        content = {'state_dict': kind(**model).state_dict(), 'meta': {'cfg': cfg.pretty_text}}
        torch.save(content, paths[name])
    return paths


@pytest.fixture
def run_tool(monkeypatch, tmp_path):
    """Call a file of ``tools/`` with arguments, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(tool: str, *arguments: object) -> None:
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
        runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')

    return run
