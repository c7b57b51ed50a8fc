"""Real configs through tools/train.py: a killed run goes on, bad input is refused."""

from __future__ import annotations

import os
import re
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

ROOT = Path(__file__).parents[2]
TOOL = runpy.run_path(str(ROOT / 'tools' / 'train.py'))
TINY_NETWORKS = [
    *('model.generator.channels=8', 'model.generator.structure_dim=8'),
    *('model.generator.texture_dim=8', 'model.generator.warp_channels=8'),
    *('model.discriminator.channels=8', 'model.patch_discriminator.channels=8'),
]
SHRINK = [
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'train_dataloader.batch_size=4',
    'train_dataloader.dataset.length=16',
    'default_hooks.checkpoint.interval=2',
    'default_hooks.logger.interval=1',
    'default_hooks.pictures.interval=100',
]


def command(config: str, work_dir: Path, *options: str, resume: bool = False) -> list[str]:
    program = [sys.executable, str(ROOT / 'tools' / 'train.py'), str(ROOT / 'configs' / config)]
    program += ['--work-dir', str(work_dir)] + (['--resume'] if resume else [])
    return [*program, '--cfg-options', *SHRINK, *options]


def environment() -> dict[str, str]:
    return {**os.environ, 'OMP_NUM_THREADS': '1'}


def run(*args, **kwargs) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(*args, **kwargs), env=environment(), capture_output=True, text=True, timeout=300
    )


def test_resume_after_kill(tmp_path: Path):
    """kill -9 in the middle: the run goes on at the saved iteration with all of its state."""
    config = 'coordgan/toyfaces_32.py'
    with open(tmp_path / 'output', 'w') as output:
        process = subprocess.Popen(
            command(config, tmp_path, 'train_cfg.max_iters=100000'),
            env=environment(),
            stdout=output,
            stderr=output,
        )
        deadline = time.time() + 120
        while not (tmp_path / 'iter_4.pth').exists() and time.time() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
    last = Path((tmp_path / 'last_checkpoint').read_text())
    saved = torch.load(last, weights_only=True)
    iteration = saved['meta']['iter']
    assert iteration >= 4, (tmp_path / 'output').read_text()[-2000:]

    # No further step: what is saved at the end is what was restored.
    target = iteration + 2
    done = run(config, tmp_path, f'train_cfg.max_iters={target}', resume=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert f'resumed epoch: 0, iter: {iteration}' in done.stdout + done.stderr
    final = torch.load(tmp_path / f'iter_{target}.pth', weights_only=True)
    assert int(final['state_dict']['iteration']) == target
    for name in ('generator', 'discriminator'):
        steps = {int(s['step']) for s in final['optimizer'][name]['state'].values()}
        before = {int(s['step']) for s in saved['optimizer'][name]['state'].values()}
        assert max(steps) - max(before) == 2, name
    # The average moves by 1 - decay of the distance to the current weights, twice.
    key = 'generator_ema.warp_net.second.weight'
    start, end = saved['state_dict'][key], final['state_dict'][key]
    moved = (end - start).abs().max()
    distance = (final['state_dict'][key.replace('_ema', '')] - start).abs().max()
    assert 0 < moved < 0.02 * distance


def make_folder(path: Path, *, broken: bool) -> Path:
    """Four pictures, the last of which may be broken."""
    path.mkdir()
    for index in range(4):
        Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(path / f'{index}.png')
    if broken:
        (path / '3.png').write_bytes(b'\x89PNG no picture')
    return path


DATA_ROOT = 'train_dataloader.dataset.data_root'
BAD_INPUT = {
    'missing folder': ('celeba_128', [f'{DATA_ROOT}=none'], SystemExit, "'none'.*data_root"),
    'empty folder': (
        'celeba_128',
        [f'{DATA_ROOT}=empty'],
        ValueError,
        "'empty'.*data_root.*hold no file that ends in .jpg",
    ),
    'broken image': (
        'celeba_128',
        [f'{DATA_ROOT}=broken', 'train_dataloader.batch_size=4'],
        OSError,
        r"broken/3\.png.*on_broken='skip'",
    ),
    'odd batch': (
        'toyfaces_32',
        ['train_dataloader.batch_size=3'],
        ValueError,
        'must be even.*got 3: set train_dataloader.batch_size',
    ),
    'image_size': (
        'toyfaces_32',
        ['model.generator.image_size=48'],
        ValueError,
        'image_size must be a power of two of at least 32, but got 48',
    ),
    'unknown option': (
        'toyfaces_32',
        ['model.generator.imagesize=64'],
        SystemExit,
        r'did you mean model\.generator\.image_size\?',
    ),
    'vgg weights': (
        'celeba_128',
        ['model.perceptual.vgg_weights=no/vgg.pth'],
        SystemExit,
        r'no/vgg\.pth.*perceptual\.vgg_weights',
    ),
}


@pytest.mark.parametrize('name', BAD_INPUT)
def test_bad_input(name: str, tmp_path: Path, monkeypatch, capsys):
    config, options, error, message = BAD_INPUT[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')
    (tmp_path / 'empty').mkdir()
    make_folder(tmp_path / 'broken', broken=True)
    if config == 'celeba_128' and name != 'vgg weights':
        options = [*options, 'model.perceptual.vgg_weights=None']
    if config == 'celeba_128':
        options = [*options, *TINY_NETWORKS]
    workers = ['train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False']
    arguments = [str(ROOT / 'configs' / 'coordgan' / f'{config}.py'), '--cfg-options']
    with pytest.raises(error) as raised:
        TOOL['main']([*arguments, *workers, *options])
    found = capsys.readouterr().err if error is SystemExit else str(raised.value)
    assert re.search(message, found, re.DOTALL), found
