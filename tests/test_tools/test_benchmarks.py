"""tools/analysis_tools/benchmark_data.py and measure_memory.py: they measure what they say."""

from __future__ import annotations

import os
import re
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
TOY = ROOT / 'tests'
CONFIG = ROOT / 'configs' / 'coordgan' / 'celeba_128.py'
sys.path.insert(0, str(TOY))
from engine_toy import write_config  # noqa: E402

benchmark = runpy.run_path(str(TOOLS / 'benchmark_data.py'))
ENV = dict(
    os.environ, PYTHONPATH=f'{ROOT}{os.pathsep}{TOY}', OMP_NUM_THREADS='1', PYTHONWARNINGS='ignore'
)


def run(tool: str, *arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, str(TOOLS / tool), *map(str, arguments)]
    return subprocess.run(command, env=ENV, capture_output=True, text=True)


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


@pytest.mark.slow
def test_our_data_keep_up_with_a_plain_loop(photos):
    """By CPU time, which other work on the machine disturbs little."""
    done = run('benchmark_data.py', CONFIG, photos, '--images', 200, '--rounds', 2)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    busy = dict(re.findall(r'^(plain|ours) .* ([\d.]+) CPU-ms per image$', done.stdout, re.M))
    assert float(busy['ours']) < 1.1 * float(busy['plain'])
    once = ['--images', 20, '--rounds', 1]
    assert run('benchmark_data.py', CONFIG, photos, *once, '--at-least', 99).returncode == 1


LEAK = """
class Leak(Hook):
    kept = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.kept.append(bytearray(10_000))
"""


@pytest.mark.slow
@pytest.mark.parametrize('leaks', [False, True])
def test_memory_is_flat_and_leaks_are_seen(tmp_path, leaks):
    config = write_config(tmp_path)
    text = config.read_text().replace('custom_hooks = [', '@HOOKS')
    text = text.replace('@HOOKS', 'custom_hooks = [')
    if leaks:
        (tmp_path / 'leak_hook.py').write_text(
            'from mmengine.hooks import Hook\nfrom mmcoordgan.registry import HOOKS\n'
            f'@HOOKS.register_module(){LEAK}'
        )
        text += "custom_imports['imports'].append('leak_hook')\n"
        text += "custom_hooks = [dict(type='Leak')]\n"
    config.write_text(text)
    ENV['PYTHONPATH'] = os.pathsep.join(map(str, (ROOT, TOY, tmp_path)))
    intervals = ['default_hooks.pictures.interval=200', 'default_hooks.checkpoint.interval=200']
    done = run(
        *('measure_memory.py', config, '--iters', 2000, '--at-most', 3000),
        *('--cfg-options', *intervals, 'default_hooks.logger.interval=100'),
    )
    print(done.stdout[-1500:])
    assert done.returncode == int(leaks), done.stdout + done.stderr
    process, workers, checkpoint = map(
        float,
        re.search(r'process (\S+) KiB, workers (\S+) KiB, checkpoint (\S+)', done.stdout).groups(),
    )
    assert (9000 < process < 14000) if leaks else process < 3000
    assert abs(checkpoint) < 1 and workers == 0
