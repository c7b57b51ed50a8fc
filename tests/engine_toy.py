"""A very small stand-in for CoordGAN that trains in milliseconds, and its Runner."""

import copy
import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import nn

from mmcoordgan.geometry import canonical_grid
from mmcoordgan.registry import DATASETS, METRICS, MODELS

RUNTIME = Path(__file__).parents[1] / 'configs' / '_base_' / 'default_runtime.py'


class ToyGenerator(nn.Module):
    structure_dim, texture_dim = 2, 3

    def __init__(self):
        super().__init__()
        self.warp_net = nn.Linear(2, 2)
        self.paint = nn.Linear(3, 3)

    def map_structure(self, z):
        return self.warp_net(z)

    def map_texture(self, z):
        return self.paint(z)

    def warp(self, structure_w):
        return (canonical_grid(8, 8) + 0.1 * structure_w[:, :, None, None]).tanh()

    def synthesize(self, coords, texture_w):
        noise = torch.randn(1) if self.training else 0.0
        return (texture_w[:, :, None, None] * coords[:, :1] + noise).tanh()

    def forward(self, structure_z, texture_z):
        coords = self.warp(self.map_structure(structure_z))
        return self.synthesize(coords, self.map_texture(texture_z))


@MODELS.register_module(force=True)
class ToyGAN(BaseModel):
    """Trains both networks by one step each; ``pretrained_generator`` is a file to start from."""

    averages_gradients = True

    def __init__(self, pretrained_generator=None, batch_size=2):
        super().__init__()
        self.batch_size = batch_size
        self.generator = ToyGenerator()
        if pretrained_generator is not None:
            state = torch.load(pretrained_generator, weights_only=True)
            self.generator.load_state_dict(state)
        self.generator_ema = copy.deepcopy(self.generator).requires_grad_(False)
        layers = OrderedDict(flat=nn.Flatten(), score=nn.Linear(3 * 8 * 8, 1))
        self.discriminator = nn.Sequential(layers)
        self.patch_discriminator = nn.Linear(3, 1)

    def forward(self, inputs, mode='tensor'):
        return [BaseDataElement()] if mode == 'predict' else inputs

    def train_step(self, data, optim_wrapper):
        real = torch.stack(list(data['inputs']))
        size = len(real)
        fake = self.generator(torch.randn(size, 2), torch.randn(size, 3))
        patches = self.patch_discriminator(real.mean(dim=(2, 3))).mean()
        score = self.discriminator(fake.detach()) - self.discriminator(real)
        loss_d = nn.functional.softplus(score).mean() + 0.01 * patches
        optim_wrapper['discriminator'].update_params(loss_d)
        loss_g = nn.functional.softplus(-self.discriminator(fake)).mean()
        optim_wrapper['generator'].update_params(loss_g)
        optim_wrapper['discriminator'].zero_grad()
        for average, new in zip(self.generator_ema.parameters(), self.generator.parameters()):
            average.lerp_(new.detach(), 0.1)
        return {'loss_d': loss_d.detach(), 'loss_g': loss_g.detach()}


@DATASETS.register_module(force=True)
class ToyNoise(torch.utils.data.Dataset):
    """Sixteen images, brightened at random; ``folder``, if given, must exist."""

    METAINFO = {'classes': ('noise',)}

    def __init__(self, length=16, folder=None):
        if folder is not None and not os.path.isdir(folder):
            raise FileNotFoundError(f'data folder {folder} does not exist')
        self.metainfo = dict(self.METAINFO)
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        source = torch.Generator().manual_seed(index)
        brightness = 0.1 * np.random.rand()
        return {'inputs': torch.rand(3, 8, 8, generator=source) * 2 - 1 + brightness}


@METRICS.register_module(force=True)
class ToyMetric(BaseMetric):
    """All metrics grow with every validation; draws random numbers, as metrics may."""

    default_prefix = 'toy'

    def __init__(self, seen=0):
        super().__init__()
        self.seen = seen

    def process(self, data_batch, data_samples):
        torch.rand(3)
        np.random.rand()
        self.results.append(1)

    def compute_metrics(self, results):
        self.seen += 1
        names = ('iou', 'pck@0.1', 'error', 'nme', 'structure_swap')
        return dict.fromkeys(names, float(self.seen))


CONFIG = f"""
_base_ = {str(RUNTIME)!r}
custom_imports = dict(imports=['engine_toy'])
model = dict(type='ToyGAN')
model_wrapper_cfg = dict(type='mmcoordgan.CoordGANDistributed')
train_pipeline = [dict(type='LoadImageFromFile'), dict(type='RandomFlip', prob=0.5)]
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='ResumableSampler', shuffle=True),
    dataset=dict(type='ToyNoise'),
)
train_cfg = dict(type='ResumableTrainLoop', max_iters=4)
adam = dict(type='Adam', lr=0.002, betas=(0.0, 0.99))
optim_wrapper = dict(
    constructor='CoordGANOptimWrapperConstructor',
    generator=dict(optimizer=adam, regularization_interval=4),
    discriminator=dict(optimizer=adam, regularization_interval=16),
)
default_hooks = dict(
    logger=dict(interval=1),
    checkpoint=dict(interval=2),
    pictures=dict(interval=2, num_structures=2, num_textures=3),
)
randomness = dict(seed=0)
"""


def write_config(folder: Path, extra: str = '') -> Path:
    path = folder / 'toy.py'
    path.write_text(CONFIG + extra)
    return path


def runner(folder: Path, work_dir: str = 'work', **options) -> Runner:
    cfg = Config.fromfile(write_config(folder))
    cfg.work_dir = str(folder / work_dir)
    # Runners are told apart by their name, which otherwise ends in the second they started in.
    cfg.experiment_name = f'{folder.name}_{work_dir}_{len(os.listdir(folder))}'
    cfg.merge_from_dict(options)
    return Runner.from_cfg(cfg)
