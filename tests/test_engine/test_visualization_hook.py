import os
from types import SimpleNamespace

import cv2
import torch
from engine_toy import ToyGAN, runner

from mmcoordgan.engine import CoordGANVisualizationHook
from mmcoordgan.visualization import sample_grid


def read(path):
    return cv2.imread(str(path))[:, :, ::-1]


def test_a_training_run_leaves_its_images(tmp_path):
    run = runner(tmp_path, **{'train_cfg.max_iters': 5})
    run.train()
    pictures = sorted(os.listdir(tmp_path / 'work' / 'pictures'))
    assert pictures == [f'iter_00000{i}.png' for i in (0, 2, 4, 5)]  # before, every 2, the last
    last = read(tmp_path / 'work' / 'pictures' / pictures[-1])
    assert last.shape == (20 + 3 * 98, 20 + 4 * 98, 3)  # 2 structures + frame, 3 textures + maps
    assert (last != read(tmp_path / 'work' / 'pictures' / pictures[0])).any()
    local = os.listdir(tmp_path / 'work' / run.timestamp / 'vis_data' / 'vis_image')
    assert sorted(local) == [f'samples_{i}.png' for i in (0, 2, 4, 5)]
    # Without the hook, training is the same.
    timer = dict(type='IterTimerHook', _delete_=True)
    plain = runner(
        tmp_path, 'without', **{'train_cfg.max_iters': 5, 'default_hooks.pictures': timer}
    )
    plain.train()
    assert not os.path.isdir(tmp_path / 'without' / 'pictures')
    weights = plain.model.state_dict()
    assert all(torch.equal(value, weights[key]) for key, value in run.model.state_dict().items())


def test_images_are_the_sample_grid_of_fixed_codes(tmp_path):
    model = ToyGAN()
    with torch.no_grad():
        model.generator.paint.bias += 1.0
    source = torch.Generator().manual_seed(3)
    codes = torch.randn(2, 2, generator=source), torch.randn(6, 3, generator=source)
    for use_ema, generator in ((True, model.generator_ema), (False, model.generator)):
        added = []
        visualizer = SimpleNamespace(
            add_image=lambda *args, step, to=added: to.append((*args, step))
        )
        run = SimpleNamespace(model=model, work_dir=str(tmp_path / str(use_ema)), iter=500)
        run.visualizer = visualizer
        hook = CoordGANVisualizationHook(interval=5, num_structures=2, seed=3, use_ema=use_ema)
        hook.before_train(run)
        ((name, image, step),) = added
        assert (name, step) == ('samples', 500)
        expected = sample_grid(generator, *codes)
        assert (image == expected).all()
        assert (read(tmp_path / str(use_ema) / 'pictures' / 'iter_000500.png') == expected).all()
