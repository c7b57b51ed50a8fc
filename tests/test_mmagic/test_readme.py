"""The README's examples with MMagic, run as they are but for their length."""

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmagic.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from mmcoordgan.visualization.grids import CAPTION, MARGIN

ROOT = Path(__file__).parents[2]
# What shortens the runs of a config.
SHORT = {
    'coordgan/toyfaces_32.py': 'train_dataloader.dataset.length=16 '
    'test_dataloader.dataset.length=4',
    'coordgan/toyfaces_32_encoder.py': 'train_dataloader.dataset.length=16 '
    'test_dataloader.dataset.length=7 model.refinement.steps=1',
    'mmagic/stylegan2_16.py': 'train_dataloader.num_workers=0 '
    'train_dataloader.persistent_workers=False default_hooks.logger.interval=1',
    'mmagic/stylegan2_coordgan_16.py': 'default_hooks.logger.interval=1',
    'mmagic/toyfaces_32_metrics.py': 'test_dataloader.dataset.length=100',
}
FAKES = 'test_evaluator.metrics.{}.fake_nums=100'


def examples() -> list[str]:
    blocks = re.findall(
        r'<!-- command: mmagic -->\n```bash\n(.*?)```', (ROOT / 'README.md').read_text(), re.DOTALL
    )
    return [block.replace('\\\n', ' ') for block in blocks]


def shorten(command: str) -> str:
    command = command.replace('iter_3000', 'iter_2').replace('path/to/images', 'pictures')
    found = re.search(r'configs/(\S+\.py)', command)
    if found is None:
        return command
    options = SHORT[found[1]]
    if 'train.py' in command:
        options += ' train_cfg.max_iters=2'
    if 'metrics' in found[1]:
        options += f' {FAKES.format(0)} {FAKES.format(1)} test_evaluator.metrics.2.num_samples=4'
    return command + (' ' if '--cfg-options' in command else ' --cfg-options ') + options


@pytest.fixture(scope='module')
def logs(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """What the three examples print, and the folder that they ran in."""
    folder = tmp_path_factory.mktemp('examples')
    (folder / 'configs').symlink_to(ROOT / 'configs')
    (folder / 'pictures').mkdir()
    for index in range(4):
        pixels = np.random.default_rng(index).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / 'pictures' / f'{index}.png'), pixels)
    setup, printed = '', []
    path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
    environment = dict(os.environ, HOME=str(folder), PATH=path)
    for block in examples():
        lines = block.splitlines()
        setup += '\n'.join(line for line in lines if line.startswith('tools=')) + '\n'
        script = setup + '\n'.join(map(shorten, lines))
        done = subprocess.run(
            ['bash', '-euo', 'pipefail', '-c', script],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        printed.append(done.stdout + done.stderr)
        assert done.returncode == 0, f'{script}\n{printed[-1][-6000:]}'
    return printed, folder


def test_mmagics_tools_run_our_configs(logs):
    (printed, _, _), folder = logs
    assert 'd_gan' in printed and 'loss_rec_l1' in printed
    assert re.search(r'swap/texture_swap_StructureTensor: 0\.\d+', printed)
    assert re.search(r'refined/pck@0\.1: \d', printed) and re.search(r' iou: \d', printed)
    for run in ('toyfaces_32', 'toyfaces_32_encoder'):
        assert (folder / 'work_dirs' / run / 'iter_2.pth').exists()
        assert (folder / 'work_dirs' / run / 'pictures' / 'iter_000002.png').exists()


def trained(folder: Path, run: str) -> nn.Module:
    """The model that an example trained."""
    cfg = Config.fromfile(ROOT / 'configs' / 'mmagic' / f'{run}.py')
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    path = folder / 'work_dirs' / run / 'iter_2.pth'
    state = torch.load(path, weights_only=False)['state_dict']  # MMEngine's, written above
    model.load_state_dict(state)
    return model.eval()


def test_mmagics_gan_takes_our_data(logs):
    _, folder = logs
    model, source = trained(folder, 'stylegan2_16'), torch.Generator().manual_seed(0)
    inputs = dict(noise=torch.randn(1, 64, generator=source), sample_model='ema')
    (sample,) = model.test_step({'inputs': inputs})
    assert sample.fake_img.shape == (3, 16, 16) and sample.fake_img.isfinite().all()


def test_mmagics_gan_takes_our_generator(logs):
    (_, printed, _), folder = logs
    assert 'loss_path_regular' in printed
    before, after = (
        cv2.imread(str(folder / f'work_dirs/stylegan2_coordgan_16/pictures/iter_00000{i}.png'))
        for i in (0, 2)
    )
    assert before.shape == after.shape and np.abs(before.astype(int) - after).mean() > 1
    # The first image that is drawn is the one that MMagic's metrics get from the same noise.
    model, source = trained(folder, 'stylegan2_coordgan_16'), torch.Generator().manual_seed(0)
    codes = [torch.randn(count, 32, generator=source)[:1] for count in (4, 6)]
    inputs = dict(noise=torch.cat(codes, dim=1), sample_model='ema')
    (sample,) = model.test_step({'inputs': inputs})
    corner = 2 * MARGIN + 96  # beside the maps
    rows, columns = (slice(at, at + 96, 6) for at in (corner, CAPTION + corner))
    error = np.abs(after[rows, columns] - sample.fake_img.permute(1, 2, 0).numpy())
    assert error.mean() < 2


def test_mmagics_metrics_test_our_model(logs):
    (_, _, printed), _ = logs
    for name in ('MS-SSIM-1000/avg', 'SWD-1000/avg', 'swap/structure_swap_StructureTensor'):
        assert re.search(rf'{name}: \d', printed), name
