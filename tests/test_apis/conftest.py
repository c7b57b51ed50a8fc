"""Tiny networks of both stages."""

from __future__ import annotations

import pytest
from tiny_inversion import (
    EVALUATOR,
    STAGE1,
    write_checkpoint,
)

from mmcoordgan.apis import CoordGANInferencer


@pytest.fixture(scope='module')
def stage2(tmp_path_factory):
    path = tmp_path_factory.mktemp('stage2') / 'x.pth'
    return str(path), write_checkpoint(path, test_evaluator=[EVALUATOR])


@pytest.fixture(scope='module')
def inferencer(stage2) -> CoordGANInferencer:
    return CoordGANInferencer(stage2[0], device='cpu', show_progress=False)


@pytest.fixture(scope='module')
def generator(tmp_path_factory) -> CoordGANInferencer:
    path = tmp_path_factory.mktemp('stage1') / 'x.pth'
    write_checkpoint(path, STAGE1)
    return CoordGANInferencer(path, device='cpu', show_progress=False)
