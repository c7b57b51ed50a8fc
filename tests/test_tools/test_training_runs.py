"""Trainings through tools/train.py: interrupted ones continue, bad input is refused."""

import re
import resource
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from engine_toy import write_config
from PIL import Image

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs' / 'coordgan'
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
    'default_hooks.pictures.interval=100',
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ('config', 'processes', 'signal', 'kills'),
    [
        ('toyfaces_32', 1, 'KILL', 3),  # while it starts, trains and saves
        ('toyfaces_32', 2, 'TERM', 1),
        ('toyfaces_32_encoder', 1, 'KILL', 2),
    ],
)
def test_interrupted_runs_end_like_others(tmp_path: Path, config, processes, signal, kills):
    """Killed or terminated at random moments, then resumed: the same to the last bit."""
    options = TINY_NETWORKS
    if config == 'toyfaces_32_encoder':
        first = [str(CONFIGS / 'toyfaces_32.py'), '--work-dir', str(tmp_path / 'stage1')]
        TOOL['main']([*first, '--cfg-options', 'train_cfg.max_iters=1'])
        options = [f'model.stage1_checkpoint={tmp_path}/stage1']
    program = [sys.executable, ROOT / 'tests' / 'kill_and_resume.py', CONFIGS / f'{config}.py']
    program += [f'--processes={processes}', f'--signal={signal}', f'--kills={kills}']
    if signal == 'KILL':  # a fast machine trains on while others would still start
        program += ['--iterations=250']
    program += ['--cfg-options', *SHRINK, *options]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert f'{kills} SIG{signal} survived, the same bits' in done.stdout


def test_a_full_disk_leaves_the_older_checkpoints(tmp_path: Path):
    arguments = [str(write_config(tmp_path))]
    options = ['default_hooks.checkpoint.max_keep_ckpts=1', 'default_hooks.logger.interval=9']
    arguments += ['--work-dir', str(tmp_path), '--resume', '--cfg-options', *options]
    TOOL['main']([*arguments, 'train_cfg.max_iters=2'])
    path = tmp_path / 'iter_2.pth'
    before = path.read_bytes()
    size = len(before) - 1000  # no file may be larger, as if the disk were full
    full = subprocess.run(
        [sys.executable, str(ROOT / 'tools' / 'train.py'), *arguments, 'train_cfg.max_iters=4'],
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
