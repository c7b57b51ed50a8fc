"""Shared test settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope

# This checkout, and the helpers of its tests, here and in the programs that tests start.
ROOT = Path(__file__).parents[1]
FOLDERS = '. tests tests/data/reference tests/fuzz tests/test_evaluation tests/test_models'
CHECKOUT = [str(ROOT / folder) for folder in [*FOLDERS.split(), 'tools/analysis_tools']]
sys.path[:0] = CHECKOUT
os.environ['PYTHONPATH'] = os.pathsep.join(CHECKOUT)
os.environ['PYTHONWARNINGS'] = 'ignore'
os.environ.setdefault('OMP_NUM_THREADS', '1')

# What needs MMagic is collected where it is installed: README, "With MMagic".
HAS_MMAGIC = find_spec('mmagic') is not None
collect_ignore = [] if HAS_MMAGIC else ['test_mmagic']


def pytest_report_header() -> str:
    return 'tests/test_mmagic: ' + ('collected' if HAS_MMAGIC else 'MMagic is not installed')


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tools that run in this process forbid unsafe loading: until the end of the test only."""
    monkeypatch.delenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', raising=False)


@pytest.fixture(autouse=True)
def _own_default_scope() -> Iterator[None]:
    """Configs and MMagic's tests set MMEngine's default scope: until the end of the test only."""
    with DefaultScope.overwrite_default_scope('mmcoordgan'):
        yield


@pytest.fixture(scope='session')
def lpips(tmp_path_factory: pytest.TempPathFactory):
    """LPIPS on the deterministic VGG16 behind the reference numbers, read from a file."""
    import reference

    from mmcoordgan.models.losses import LPIPSLoss

    path = tmp_path_factory.mktemp('vgg') / 'vgg16.pth'
    torch.save(reference.vgg_state_dict(), path)
    loss = LPIPSLoss(vgg_weights=str(path))
    path.unlink()
    return loss
