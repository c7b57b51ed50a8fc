"""A config in MMEngine's pure-Python style, whose types are classes, through the tools."""

import runpy
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
LAZY = """
from mmengine.dataset import DefaultSampler
from mmengine.optim import OptimWrapper
from mmengine.runner import LogProcessor, TestLoop
from torch.optim import Adam

from mmcoordgan.datasets import ResumableSampler, SwapSeeds, ToyFaces
from mmcoordgan.engine import (
    CoordGANCheckpointHook,
    CoordGANOptimWrapperConstructor,
    ResumableTrainLoop,
)
from mmcoordgan.evaluation import SwapConsistency
from mmcoordgan.models import CoordGAN, GANDataPreprocessor
from mmcoordgan.models.losses import (
    ChamferLoss,
    LogisticLoss,
    LPIPSLoss,
    NonsaturatingLoss,
    StructureTensorLoss,
)
from mmcoordgan.models.networks import CoordGANDiscriminator, CoordGANGenerator

narrow = dict(structure_dim=4, texture_dim=4, structure_width=4, texture_width=4, channels=4)
model = dict(
    type=CoordGAN,
    generator=dict(
        type=CoordGANGenerator,
        image_size=32,
        base_resolution=32,
        mapping_layers=1,
        num_levels=1,
        fourier_channels=4,
        warp_channels=4,
        **narrow,
    ),
    discriminator=dict(type=CoordGANDiscriminator, image_size=32, channels=4, channel_base=64),
    perceptual=dict(type=StructureTensorLoss),
    losses=dict(
        d_gan=dict(type=LogisticLoss),
        g_gan=dict(type=NonsaturatingLoss),
        g_chamfer=dict(type=ChamferLoss),
    ),
    data_preprocessor=dict(type=GANDataPreprocessor),
)
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type=ResumableSampler, shuffle=True),
    dataset=dict(type=ToyFaces, size=32, length=4, seed=1),
)
train_cfg = dict(type=ResumableTrainLoop, max_iters=1)
optimizer = dict(type=OptimWrapper, optimizer=dict(type=Adam, lr=0.002))
optim_wrapper = dict(
    constructor=CoordGANOptimWrapperConstructor, generator=optimizer, discriminator=optimizer
)
test_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(type=SwapSeeds, length=2, seed=0),
)
test_evaluator = dict(type=SwapConsistency, perceptual=dict(type=StructureTensorLoss))
test_cfg = dict(type=TestLoop)
default_hooks = dict(
    checkpoint=dict(type=CoordGANCheckpointHook)
)
log_processor = dict(type=LogProcessor, by_epoch=False)
default_scope = 'mmcoordgan'
"""


def tool(name, *arguments):
    runpy.run_path(str(ROOT / 'tools' / f'{name}.py'))['main'](list(map(str, arguments)))


def test_train_resume_and_test(elsewhere, capsys):
    Path('lazy.py').write_text(LAZY)
    tool('train', 'lazy.py', '--amp', '--cfg-options', 'experiment_name=lazy_1')
    more = ['train_cfg.max_iters=2', 'experiment_name=lazy_2']
    tool('train', 'lazy.py', '--amp', '--resume', '--cfg-options', *more)
    assert torch.load('work_dirs/lazy/iter_2.pth', weights_only=True)['meta']['iter'] == 2
    # A test needs no weights of a perceptual distance that only training uses.
    distance = "perceptual=dict(type=LPIPSLoss, vgg_weights='none.pth'),\n    losses"
    text = LAZY.replace('perceptual=dict(type=StructureTensorLoss),\n    losses', distance)
    assert text != LAZY
    Path('lpips.py').write_text(text)
    tool('test', 'lpips.py', 'work_dirs/lazy/iter_2.pth', '--out', 'metrics.json')
    assert Path('metrics.json').exists()
    with pytest.raises(SystemExit):
        tool('test', 'lazy.py', 'work_dirs/lazy/iter_2.pth', '--show-dir', 'shown')
    assert '--show-dir draws transfers between images, which need' in capsys.readouterr().err
