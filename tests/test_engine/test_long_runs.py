"""Nothing grows with the iterations, and the log tells how long they will take."""

from pathlib import Path

import numpy as np
import pytest
import torch
from engine_toy import runner
from mmengine.config import Config

CONFIGS = sorted((Path(__file__).parents[2] / 'configs' / 'coordgan').glob('*.py'))


def test_histories_and_checkpoints_stop_growing(tmp_path):
    """The newest values are kept."""
    options = {'train_cfg.max_iters': 12, 'log_processor.window_size': 2}
    runs = []
    for length in (100, 5):
        checkpoint = dict(interval=6, max_history=length)
        runs.append(
            runner(tmp_path, f'{length}', **options, **{'default_hooks.checkpoint': checkpoint})
        )
        runs[-1].train()
    whole, short = (run.message_hub.log_scalars for run in runs)
    for name in ('train/loss_d', 'train/loss_g'):
        assert len(whole[name].data[0]) == 12
        np.testing.assert_array_equal(short[name].data[0], whole[name].data[0][-5:])
    assert all(len(history.data[0]) == 5 for history in short.values())
    files = [tmp_path / '5' / f'iter_{n}.pth' for n in (6, 12)]
    assert abs(files[1].stat().st_size - files[0].stat().st_size) < 256
    stored = torch.load(files[1], weights_only=True)['message_hub']['log_scalars']
    assert {len(value['log_history']) for value in stored.values()} == {5}


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_every_config_bounds_what_it_keeps(path):
    cfg = Config.fromfile(path)
    hooks = cfg.default_hooks
    assert 2 <= hooks.checkpoint.max_keep_ckpts <= 5
    assert cfg.train_cfg.max_iters / hooks.pictures.interval <= 200
