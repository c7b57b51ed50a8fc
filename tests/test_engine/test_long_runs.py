"""Nothing grows with the iterations, and the log tells how long they will take."""

from pathlib import Path

import numpy as np
import pytest
import torch
from engine_toy import runner
from mmengine.config import Config

CONFIGS = sorted((Path(__file__).parents[2] / 'configs' / 'coordgan').glob('*.py'))


HISTORY = 'default_hooks.checkpoint.max_history'


def lengths(folder: Path, iteration: int) -> set[int]:
    checkpoint = torch.load(folder / 'work' / f'iter_{iteration}.pth', weights_only=True)
    scalars = checkpoint['message_hub']['log_scalars']
    return {len(value['log_history']) for value in scalars.values()}


def train(folder: Path, **options):
    options = {
        'train_cfg.max_iters': 12,
        'log_processor.window_size': 2,
        'default_hooks.checkpoint': dict(interval=6, max_history=5),
        **options,
    }
    folder.mkdir(exist_ok=True)
    run = runner(folder, **options)
    run.train()
    return run


def test_histories_and_checkpoints_stop_growing(tmp_path):
    run = train(tmp_path)
    assert lengths(tmp_path, 12) == {5}
    sizes = [(tmp_path / 'work' / f'iter_{n}.pth').stat().st_size for n in (6, 12)]
    assert abs(sizes[1] - sizes[0]) < 256
    assert all(len(h.data[0]) == 5 for h in run.message_hub.log_scalars.values())


def test_what_is_kept_are_the_newest_values(tmp_path):
    whole = train(tmp_path / 'a', **{HISTORY: 100})
    short = train(tmp_path / 'b')
    for name in ('train/loss_d', 'train/loss_g'):
        values = [run.message_hub.get_scalar(name).data[0] for run in (whole, short)]
        assert len(values[0]) == 12
        np.testing.assert_array_equal(values[1], values[0][-5:])


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_every_config_bounds_what_it_keeps(path):
    cfg = Config.fromfile(path)
    hooks = cfg.default_hooks
    assert 2 <= hooks.checkpoint.max_keep_ckpts <= 5
    assert cfg.train_cfg.max_iters / hooks.pictures.interval <= 200
