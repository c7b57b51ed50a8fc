"""Configs of users, outside the package, through tools/train.py."""

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


@pytest.mark.slow
def test_a_compiled_encoder(stage1):
    run(f"{ENCODER}{stage1}compile = dict(backend='eager')\n", '--no-validate')
    assert Path('work_dirs/mine/iter_6.pth').exists()


REFUSED = {
    'compile': ('compile = True', 'PyTorch cannot differentiate a compiled model twice'),
    'epochs': (
        "train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=1)",
        "use train_cfg = dict(type='ResumableTrainLoop', max_iters=...)",
    ),
    'early stopping': (
        "custom_hooks = [dict(type='EarlyStoppingHook', monitor='iou', rule='greater')]",
        'EarlyStoppingHook never stops a training without validation: set val_dataloader',
    ),
    'scheduler': (
        "param_scheduler = dict(generator=[dict(type='torch.optim.lr_scheduler.CyclicLR')])",
        'hooks cannot step torch.optim.lr_scheduler.CyclicLR',
    ),
}


@pytest.mark.parametrize('name', REFUSED)
def test_refused_at_the_start(name, refused):
    text, message = REFUSED[name]
    Path('mine.py').write_text(TOY + text)
    assert message in refused('train.py', 'mine.py')


def test_a_folder_is_looked_into_before_anything_is_downloaded(refused):
    option = 'train_dataloader.dataset.data_root=none'
    error = refused('train.py', CONFIGS / 'celeba_128.py', '--cfg-options', option, code=1)
    assert "'none' does not exist. It comes from data_root" in error


def test_another_type_on_the_command_line(refused):
    options = ['train_dataloader.dataset.type=ImageFolder', 'train_dataloader.dataset.data_root=x']
    error = refused('train.py', CONFIGS / 'toyfaces_32.py', '--cfg-options', *options)
    assert 'it does not take length, seed, size, which train_dataloader.dataset has' in error
