"""tools/analysis_tools/benchmark_data.py and measure_memory.py: they measure what they say."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / 'tools' / 'analysis_tools'
CONFIG = ROOT / 'configs' / 'coordgan' / 'celeba_128.py'
benchmark = runpy.run_path(str(TOOLS / 'benchmark_data.py'))


def run(tool: str, *arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, str(TOOLS / tool), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / 'photos'
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(12):
        blobs = Image.fromarray(random.integers(0, 256, (128, 128, 3), dtype=np.uint8))
        blobs.resize((1024, 1024)).save(folder / f'{number}.jpg', quality=95)
    return folder


def test_both_loops_deliver_the_same_pictures(photos):
    """Up to flips, which both draw at random."""
    plain = benchmark['PlainFolder'](str(photos), 128)
    cfg = Config.fromfile(CONFIG)
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.train_dataloader.dataset.data_root = str(photos)
    batches = benchmark['our_batches'](cfg)
    ours = torch.cat([next(batches) for _ in range(6)])  # every picture once, shuffled
    seen = set()
    for image in ours:
        both = torch.stack([image, image.flip(-1)])
        distances = [(both - plain[i]).abs().amax((1, 2, 3)).min() for i in range(12)]
        assert min(distances) < 1e-6
        seen.add(int(np.argmin(distances)))
    assert seen == set(range(12))
