"""Configs of users, outside the package, through tools/train.py and tools/test.py."""

import json
import os
import runpy
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / 'configs' / 'coordgan'
TOY = f"_base_ = '{CONFIGS / 'toyfaces_32.py'}'\n"
ENCODER = f"""
_base_ = '{CONFIGS / 'toyfaces_32_encoder.py'}'
model = dict(refinement=None, losses=dict(swap_perceptual=None))
train_cfg = dict(max_iters=6, val_interval=1)
train_dataloader = dict(batch_size=2, dataset=dict(length=4))
val_dataloader = dict(dataset=dict(length=6))
val_evaluator = [_base_.val_evaluator[0]]
default_hooks = dict(logger=dict(interval=1), pictures=dict(num_structures=1, num_textures=1))
"""
LAZY = """
from mmengine.config import read_base
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from torch.optim import Adam

from mmcoordgan.engine import CoordGANVisualizationHook, TransferVisualizationHook
from mmcoordgan.evaluation import SegTransferIoU
from mmcoordgan.models import CoordGANInversion
from mmcoordgan.models.losses import L1Loss
from mmcoordgan.models.networks import DenseEncoder

with read_base():
    from .configs._base_.datasets.toyfaces_32_train import *
    from .configs._base_.datasets.toyfaces_32_transfer import *
    from .configs._base_.default_runtime import *
    from .configs._base_.models.coordgan_toy import *
    from .configs._base_.schedules.coordgan_encoder_toy import *

model = dict(
    type=CoordGANInversion,
    generator=model['generator'],
    encoder=dict(type=DenseEncoder, input_size=32, texture_width=64, channels=(8, 8)),
    losses=dict(rec_l1=dict(type=L1Loss)),
    data_preprocessor=model['data_preprocessor'],
)
default_hooks['pictures'] = dict(type=CoordGANVisualizationHook, use_ema=False, interval=9)
model_wrapper_cfg = dict(type=MMDistributedDataParallel, find_unused_parameters=True)
optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=Adam, lr=0.001))
test_dataloader['dataset']['length'] = 6
test_evaluator = dict(type=SegTransferIoU, num_references=5)
custom_hooks = [dict(type=TransferVisualizationHook, num_references=5)]
"""
train = runpy.run_path(str(ROOT / 'tools' / 'train.py'))['main']


@pytest.fixture(autouse=True)
def environment(monkeypatch, elsewhere):
    monkeypatch.setattr('mmcoordgan.cli.launch.get_device', lambda: 'cpu')


@pytest.fixture
def stage1(untrained) -> str:
    return f"\nmodel['stage1_checkpoint'] = {str(untrained['toyfaces_32'])!r}\n"


def run(text: str, *arguments: str) -> None:
    name = f'{Path.cwd().name}_{len(list(Path.cwd().iterdir()))}'
    Path('mine.py').write_text(f'{text}\nexperiment_name = {name!r}\n')
    train(['mine.py', *arguments])


def test_validation_stops_keeps_the_best_and_draws(stage1):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run(
        f"""{ENCODER}{stage1}
optim_wrapper = dict(encoder=dict(optimizer=dict(lr=0.0)))
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='EMAHook', momentum=0.01),
    dict(type='EarlyStoppingHook', monitor='iou', rule='greater', patience=1),
]
visualizer = dict(vis_backends=[dict(type='TensorboardVisBackend')])
"""
    )
    work = Path('work_dirs/mine')
    assert sorted(p.name for p in work.glob('*.pth')) == ['best_iou_iter_1.pth', 'iter_2.pth']
    assert 'ema_state_dict' in torch.load(work / 'iter_2.pth', weights_only=True)
    drawn = sorted(p.name for p in (work / 'pictures' / 'transfer').iterdir())
    assert drawn == ['iter_000001.png', 'iter_000002.png']
    (events,) = work.rglob('events.out.tfevents*')
    board = EventAccumulator(str(events)).Reload()
    assert [event.step for event in board.Images('transfer')] == [1, 2]


def test_a_lazy_config_whose_types_are_classes(stage1, run_tool, monkeypatch):
    Path('configs').symlink_to(ROOT / 'configs')
    launched = dict(RANK=0, WORLD_SIZE=1, MASTER_ADDR='localhost', MASTER_PORT=20000 + os.getpid())
    for name, value in launched.items():
        monkeypatch.setenv(name, str(value))
    short = ('--no-validate', '--cfg-options', 'train_cfg.max_iters')
    run(LAZY + stage1, '--amp', '--launcher', 'pytorch', *short[:-1], f'{short[-1]}=1')
    run(LAZY + stage1, '--resume', *short[:-1], f'{short[-1]}=2')
    run_tool('test.py', 'mine.py', 'work_dirs/mine/iter_2.pth', '--show-dir', 'shown', '--amp')
    assert os.listdir('shown') == ['00005.png']


@pytest.mark.parametrize('name', ['mmcoordgan://toyfaces_32', 'toyfaces_32'])
def test_a_bundled_model_where_mmengine_loads_checkpoints(name, run_tool):
    options = ['test_dataloader.dataset.length=6', 'test_dataloader.batch_size=6']
    arguments = [name, '--out', 'out.json', '--cfg-options', *options]
    run_tool('test.py', CONFIGS / 'toyfaces_32_encoder_dense.py', *arguments)
    assert json.loads(Path('out.json').read_text())['iou'] > 40


@pytest.mark.slow
def test_a_compiled_encoder(stage1):
    run(f"{ENCODER}{stage1}compile = dict(backend='eager')\n", '--no-validate')
    assert Path('work_dirs/mine/iter_6.pth').exists()


REFUSED = {
    "train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=1)": 'ResumableTrain',
    "default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False))": 'use CoordGANC',
}


@pytest.mark.parametrize('text', REFUSED)
def test_refused_at_the_start(text, refused):
    Path('mine.py').write_text(TOY + text)
    assert REFUSED[text] in refused('train.py', 'mine.py')


def test_a_folder_is_looked_into_before_anything_is_downloaded(refused):
    option = 'train_dataloader.dataset.data_root=none'
    error = refused('train.py', CONFIGS / 'celeba_128.py', '--cfg-options', option, code=1)
    assert "'none' does not exist. It comes from data_root" in error


def test_modules_named_on_the_command_line_are_imported(refused):
    options = ['train_cfg.max_iters=1', 'custom_imports.imports=[nowhere]']
    error = refused('train.py', CONFIGS / 'toyfaces_32.py', '--cfg-options', *options, code=1)
    assert "No module named 'nowhere'" in error


def test_the_missing_package_of_a_module_is_named(refused, tmp_path, monkeypatch):
    (tmp_path / 'my_own.py').write_text('import nowhere')
    (tmp_path / 'mine.py').write_text("custom_imports = dict(imports=['my_own'])")
    monkeypatch.syspath_prepend(tmp_path)
    assert "(ModuleNotFoundError: No module named 'nowhere')" in refused('train.py', 'mine.py')
