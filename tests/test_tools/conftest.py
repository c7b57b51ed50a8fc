"""Checkpoints that are quick to make."""

from __future__ import annotations

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
        model = cfg.model.to_dict()
        model.pop('type')
        model.pop('stage1_checkpoint', None)
        torch.manual_seed(0)
        paths[name] = folder / f'{name}.pth'
        content = {'state_dict': kind(**model).state_dict(), 'meta': {'cfg': cfg.pretty_text}}
        torch.save(content, paths[name])
    return paths
