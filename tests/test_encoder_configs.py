"""Every config of stage 2: follows its stage 1, builds, and trains after shrinking its sizes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from test_configs import CONFIGS, ROOT, STAGE1, photos, shrink  # noqa: F401  (photos: a fixture)

from mmcoordgan.models import CoordGAN
from mmcoordgan.registry import MODELS

STAGE2 = [p for p in CONFIGS if p not in STAGE1]
TRAINED = [p for p in STAGE2 if not p.stem.endswith('template')]  # the others are for tests


def stage1_of(path: Path) -> Path:
    return path.with_name(path.stem.split('_encoder')[0] + '.py')


def shrink_encoder(cfg: Config, stage1: Config) -> Config:
    """The sizes of the shrunk stage 1, three blocks of eight channels."""
    cfg.model.generator = stage1.model.generator
    width = {
        f'{name}_width': stage1.model.generator.get(f'{name}_width', 8)
        for name in ('structure', 'texture')
    }
    encoder, size = cfg.model.encoder, stage1.model.generator.base_resolution
    if encoder.type in ('DenseEncoder', 'TemplateEncoder'):
        width.pop('structure_width')
        encoder.update(input_size=size, work_size=size // 2, channels=(8, 8, 8), **width)
        without_weights(cfg)
    else:
        if encoder.get('num_texture_codes', 12) == 12:
            encoder.num_texture_codes = 6
        channels = dict(channels=(8, 8, 8, 8), texture_channels=(8,))
        encoder.update(input_size=size, **width, **channels)
        cfg.model.perceptual = stage1.model.perceptual
    for term in cfg.model.losses.values():
        term.update(start=0, interval=1)
    cfg.train_dataloader = stage1.train_dataloader
    cfg.train_cfg.max_iters = 3
    for key in [key for key in cfg if key.startswith(('val_', 'test_', 'custom_hooks'))]:
        cfg.pop(key)
    return cfg


def without_weights(cfg: Config) -> None:
    """No download."""
    perceptual = cfg.model.get('perceptual') or {}
    if perceptual.get('type') == 'LPIPSLoss':
        perceptual.weights = None


def save_stage1(cfg: Config, work_dir: Path) -> CoordGAN:
    """A work dir as a training leaves it; the average differs from the last weights."""
    model = MODELS.build(cfg.model)
    for parameter in model.generator_ema.parameters():
        parameter.add_(0.01)
    work_dir.mkdir()
    torch.save({'state_dict': model.state_dict()}, work_dir / 'iter_3.pth')
    (work_dir / 'last_checkpoint').write_text(str(work_dir / 'iter_3.pth'))
    return model


@pytest.mark.parametrize('path', TRAINED, ids=lambda p: p.stem)
def test_config_trains(path: Path, photos: Path, tmp_path: Path):  # noqa: F811
    stage1 = shrink(Config.fromfile(stage1_of(path)), photos, tmp_path / 'stage1')
    generator = save_stage1(stage1, tmp_path / 'stage1').generator_ema.state_dict()
    cfg = shrink_encoder(Config.fromfile(path), stage1)
    cfg.work_dir, cfg.model.stage1_checkpoint = str(tmp_path / 'work'), str(tmp_path / 'stage1')
    runner = Runner.from_cfg(cfg)
    before = [p.clone() for p in runner.model.encoder.parameters()]
    runner.train()
    log = runner.message_hub.log_scalars
    for term in cfg.model.losses:
        assert np.isfinite(log[f'train/loss_{term}'].current()), term
    assert any((p != b).any() for p, b in zip(runner.model.encoder.parameters(), before))
    path = tmp_path / 'work' / 'iter_3.pth'
    saved = torch.load(path, map_location='cpu', weights_only=True)['state_dict']
    for name, value in generator.items():
        assert torch.equal(saved[f'generator.{name}'], value), name


@pytest.mark.parametrize('path', STAGE2, ids=lambda p: p.stem)
def test_config_belongs_to_its_first_stage(path: Path):
    """Same generator, its work dir, same images; builds in its own size."""
    cfg, stage1 = Config.fromfile(path), Config.fromfile(stage1_of(path))
    if path.stem.startswith('celeba_64_encoder'):  # the generator at twice the size
        stage1.model.generator.update(image_size=64, base_resolution=64)
    assert cfg.model.generator == stage1.model.generator
    assert cfg.model.stage1_checkpoint == f'work_dirs/{stage1_of(path).stem}'
    stage1.train_dataloader.batch_size = cfg.train_dataloader.batch_size
    assert cfg.train_dataloader == stage1.train_dataloader
    without_weights(cfg)
    with torch.device('cpu' if path.stem.startswith('toy') else 'meta'):
        MODELS.build(cfg.model)


def test_published_hyperparameters():
    cfg = Config.fromfile(ROOT / 'configs' / 'coordgan' / 'celeba_128_encoder.py')
    weights = {name: term.loss_weight for name, term in cfg.model.losses.items()}
    assert weights == dict(
        rec_l1=10.0, rec_perceptual=10.0, swap_perceptual=5.0, structure_w=10.0, coords=10.0
    )
    assert cfg.train_cfg.max_iters == 600000 and cfg.train_dataloader.batch_size == 2
    adam = cfg.optim_wrapper.encoder
    assert (adam.optimizer.lr, adam.optimizer.betas) == (0.002, (0.0, 0.99))
    assert adam.regularization_interval == 4
    assert cfg.get('param_scheduler') is None
