"""Shared by the tests that run where MMagic is installed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MMagic caches features of real images, and torch.hub weights: not for long."""
    from mmagic.evaluation.functional import inception_utils

    monkeypatch.setattr(inception_utils, 'MMAGIC_CACHE_DIR', f'{tmp_path}/cache/')
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))


@pytest.fixture
def build_runner(tmp_path: Path):
    """Function (metrics, config, length) -> a Runner that tests an untrained CoordGAN."""

    def build(
        metrics: list[dict] | None = None,
        config: str = 'mmagic/toyfaces_32_metrics',
        length: int = 12,
    ) -> Runner:
        cfg = Config.fromfile(ROOT / 'configs' / f'{config}.py')
        cfg.work_dir = str(tmp_path / 'work')
        cfg.test_dataloader.update(batch_size=4)
        cfg.test_dataloader.dataset.length = length
        if metrics is not None:
            cfg.test_evaluator.metrics = metrics
        cfg.default_hooks = dict(checkpoint=None, logger=None)
        torch.manual_seed(0)
        return Runner.from_cfg(cfg)

    return build
