"""Trainings through tools/train.py: interrupted ones continue, bad input is refused.

``KILLS=20 python -m pytest -m slow -s tests/test_tools/test_training_runs.py`` kills more often.
"""

from __future__ import annotations

import os
import random
import re
import resource
import runpy
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import torch
from doc_blocks import ROOT
from engine_toy import write_config
from PIL import Image
from torch.utils._pytree import tree_map_only

from mmcoordgan.io.files import load_checkpoint
from mmcoordgan.io.work_dir import last_checkpoint

TRAIN = str(ROOT / 'tools' / 'train.py')
TOOL = runpy.run_path(TRAIN)
CONFIGS = ROOT / 'configs' / 'coordgan'
STATE = ('state_dict', 'optimizer', 'param_schedulers', 'random_states', 'data')
"""What must be equal in checkpoints; the rest holds times and paths."""
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
    'default_hooks.pictures.interval=100',
]


class Training:
    """A training in a work dir, of one process or several."""

    def __init__(self, work_dir: Path, config: str, processes: int, options: list[str]):
        self.work_dir, self.output = work_dir, work_dir.with_suffix('.log')
        program = [sys.executable, TRAIN]
        if processes > 1:
            program = [sys.executable, '-m', 'torch.distributed.run', '--standalone']
            program += [f'--nproc_per_node={processes}', TRAIN, '--launcher', 'pytorch']
        program += [f'coordgan/{config}.py', '--work-dir', str(work_dir), '--resume']
        options = ['default_hooks.logger.interval=1', *SHRINK, *options]
        self.command = [*program, '--cfg-options', *options]

    def start(self) -> None:
        with open(self.output, 'wb') as output:
            self.process = psutil.Popen(self.command, stdout=output, stderr=output)

    def finish(self) -> dict:
        """Train to the end; the last checkpoint."""
        self.start()
        assert self.process.wait() == 0, self.output.read_text()[-3000:]
        return load_checkpoint(last_checkpoint(self.work_dir))

    def iteration(self) -> int:
        """The last iteration that this start has logged, or 0."""
        found = re.findall(rb'Iter\(train\) *\[ *(\d+)/', self.output.read_bytes())
        return int(found[-1]) if found else 0

    def saved(self) -> int:
        """The iteration of the last checkpoint, which is read, or 0."""
        path = last_checkpoint(self.work_dir)
        return int(load_checkpoint(path)['meta']['iter']) if path else 0

    def wait(self, starting: bool, source: random.Random) -> None:
        """Return at a random moment while it starts, or while it trains and saves."""
        target = 0 if starting else self.saved() + source.randint(1, 40)
        while self.process.poll() is None and self.iteration() < target:
            time.sleep(0.01)
        time.sleep(source.uniform(0, 4 if starting else 0.1))
        assert self.process.poll() is None, self.output.read_text()[-3000:]

    def send(self, number: int, everyone: bool) -> int:
        """Send a signal to all processes, as Slurm does, or to the first one; the exit code."""
        # torchrun gives its processes sessions of their own: a group does not hold them all.
        others = self.process.children(recursive=True) if everyone else []
        for process in [self.process, *others]:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        return self.process.wait()


def state(checkpoint: dict) -> dict:
    """What must be equal, with tensors as their bytes."""

    def as_bytes(x: torch.Tensor) -> tuple:
        return x.dtype, x.shape, x.flatten().view(torch.uint8).numpy().tobytes()

    return tree_map_only(torch.Tensor, as_bytes, {key: checkpoint.get(key) for key in STATE})


@pytest.mark.slow
@pytest.mark.parametrize(
    ('config', 'processes', 'number', 'kills'),
    [
        ('toyfaces_32', 1, signal.SIGKILL, 3),
        ('toyfaces_32', 2, signal.SIGTERM, 1),
        ('toyfaces_32_encoder', 1, signal.SIGKILL, 2),
    ],
)
def test_interrupted_runs_end_like_others(tmp_path, config, processes, number, kills):
    """Checkpoints are complete, and no iteration is lost that was saved; after SIGTERM, none."""
    kills = int(os.environ.get('KILLS', kills))
    terminate, source = number == signal.SIGTERM, random.Random(0)
    options = [f'train_cfg.max_iters={60 * (kills + 1)}']
    options += [f'default_hooks.checkpoint.interval={1000 if terminate else 1}']
    if config == 'toyfaces_32_encoder':
        Training(tmp_path / 'stage1', 'toyfaces_32', 1, ['train_cfg.max_iters=1']).finish()
        options += [f'model.stage1_checkpoint={tmp_path}/stage1']
    else:
        options += TINY_NETWORKS
    killed = Training(tmp_path / 'killed', config, processes, options)
    for count in range(kills):
        saved = killed.saved()
        killed.start()
        killed.wait(not terminate and count % 3 == 1, source)
        code = killed.send(number, everyone=not terminate or count % 2 == 0)
        assert processes > 1 or code == (143 if terminate else -number)  # torchrun has its own
        seen, now = killed.iteration(), killed.saved()
        print(f'kill {count + 1} at {seen or "the start"}, continues from {now}')
        # A kill may come between an iteration and its checkpoint.
        assert now >= saved and seen - now <= (0 if terminate else 1)
    end = killed.finish()  # comes first, as it chose the seed
    options += [f'randomness.seed={end["meta"]["seed"]}']
    alone = state(Training(tmp_path / 'alone', config, processes, options).finish())
    assert [key for key, value in state(end).items() if value != alone[key]] == []


def test_a_full_disk_leaves_the_older_checkpoints(tmp_path: Path):
    arguments = [str(write_config(tmp_path))]
    options = ['default_hooks.checkpoint.max_keep_ckpts=1', 'default_hooks.logger.interval=9']
    arguments += ['--work-dir', str(tmp_path), '--resume', '--cfg-options', *options]
    TOOL['main']([*arguments, 'train_cfg.max_iters=2'])
    path = tmp_path / 'iter_2.pth'
    before = path.read_bytes()
    size = len(before) - 1000  # no file may be larger, as if the disk were full
    full = subprocess.run(
        [sys.executable, TRAIN, *arguments, 'train_cfg.max_iters=4'],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
        capture_output=True,
        text=True,
    )
    assert full.returncode == 1
    assert re.search(r'error: checkpoint .*iter_4\.pth cannot be written \(File too', full.stderr)
    assert full.stderr.strip().endswith('free some space and use --resume')
    assert path.read_bytes() == before
    assert (tmp_path / 'last_checkpoint').read_text() == 'iter_2.pth'
    assert sorted(p.name for p in tmp_path.glob('iter_*')) == ['iter_2.pth']
    TOOL['main']([*arguments, 'train_cfg.max_iters=4'])
    assert torch.load(tmp_path / 'iter_4.pth', weights_only=True)['meta']['iter'] == 4


def test_losses_that_are_not_finite_end_the_run(tmp_path: Path, refused):
    arguments = [str(CONFIGS / 'toyfaces_32.py'), '--work-dir', str(tmp_path)]
    options = [*SHRINK, *TINY_NETWORKS[:5], 'optim_wrapper.discriminator.optimizer.lr=1e30']
    error = refused('train.py', *arguments, '--cfg-options', *options, code=1)
    found = re.match(r'iteration (\d): (d_\w+|g_gan|.*gradient).*', error)
    assert found, error
    path = tmp_path / f'nonfinite_iter_{found[1]}.pth'
    assert f'{path}, which --resume does not pick up.' in error
    saved = torch.load(path, weights_only=True)
    assert int(saved['state_dict']['iteration']) == int(found[1])
    assert all(v.isfinite().all() for v in saved['state_dict'].values())
    pointer = tmp_path / 'last_checkpoint'
    assert not pointer.exists() or 'nonfinite' not in pointer.read_text()


def test_a_broken_image_ends_the_run_with_its_name(refused):
    Path('broken').mkdir()
    for index in range(3):
        Image.new('RGB', (20, 20)).save(f'broken/{index}.png')
    Path('broken/3.png').write_bytes(b'\x89PNG no image')
    options = ['model.perceptual.vgg_weights=None', *TINY_NETWORKS, *SHRINK[:3]]
    options.append('train_dataloader.dataset.data_root=broken')
    error = refused('train.py', CONFIGS / 'celeba_128.py', '--cfg-options', *options, code=1)
    assert re.search(r"broken/3\.png.*on_broken='skip'", error, re.DOTALL)
