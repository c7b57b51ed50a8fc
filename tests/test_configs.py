"""Every config: parsed, built, and trained for three iterations after shrinking its sizes."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.runner import Runner

from mmcoordgan.registry import MODELS

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / 'configs' / 'coordgan').glob('*.py'))
STAGE1 = [p for p in CONFIGS if '_encoder' not in p.stem]  # stage 2: test_encoder_configs.py


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of eight random images."""
    folder = tmp_path / 'photos'
    folder.mkdir()
    for index in range(8):
        pixels = np.random.default_rng(index).integers(0, 256, (40, 50, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f'{index}.png'), pixels)
    return folder


def shrink(cfg: Config, photos: Path, work_dir: Path) -> Config:
    """Sizes divided by eight, no downloads, every loss term from the first iteration."""
    model = cfg.model
    for name in ('image_size', 'base_resolution'):
        if model.generator.get(name, 128) >= 128:
            model.generator[name] = model.generator.get(name, 128) // 8
    model.generator.update(channels=8, structure_dim=8, texture_dim=8, warp_channels=8)
    model.discriminator.update(channels=8, image_size=model.generator.image_size)
    if model.get('patch_discriminator'):
        model.patch_discriminator.update(channels=8, crop_size=8, hidden=8)
    if model.perceptual.type == 'LPIPSLoss':
        model.perceptual = dict(type='StructureTensorLoss')
    model.losses = {name: term for name, term in model.losses.items() if term is not None}
    for term in model.losses.values():
        term.update(start=0, warmup=0, interval=1)
    dataset = cfg.train_dataloader.dataset
    if dataset.type == 'ImageFolder':
        dataset.data_root = str(photos)
        dataset.pipeline[0].size = model.generator.image_size
    else:
        dataset.length = 8
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.train_cfg.max_iters = 3
    cfg.default_hooks.pictures.update(interval=2, num_structures=2, num_textures=2)
    cfg.work_dir = str(work_dir)
    return cfg


def base_checkpoint(cfg: Config, path: Path) -> str:
    """A checkpoint of the stage that a derived config starts from: the same without upsampling."""
    model = cfg.model.to_dict()
    small = {**model['generator'], 'image_size': model['generator']['base_resolution']}
    model.update(generator=small, pretrained_generator=None)
    model['discriminator']['image_size'] = small['image_size']
    torch.save({'state_dict': MODELS.build(model).state_dict()}, path)
    return str(path)


@pytest.mark.parametrize('path', STAGE1, ids=lambda p: p.stem)
def test_config_trains(path: Path, photos: Path, tmp_path: Path):
    cfg = shrink(Config.fromfile(path), photos, tmp_path / 'work')
    if cfg.model.get('pretrained_generator'):
        cfg.model.generator.setdefault('base_resolution', 16)
        cfg.model.pretrained_generator = base_checkpoint(cfg, tmp_path / 'base.pth')
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert int(runner.model.iteration) == 3
    log = runner.message_hub.log_scalars
    for term in cfg.model.losses:
        assert np.isfinite(log[f'train/{term}'].current()), term
    assert (tmp_path / 'work' / 'iter_3.pth').exists()
    assert list((tmp_path / 'work' / 'pictures').glob('*.png'))


@pytest.mark.parametrize('path', STAGE1, ids=lambda p: p.stem)
def test_config_builds_in_its_published_size(path: Path):
    """Architectures as written; only the download of VGG weights is left out."""
    cfg = Config.fromfile(path)
    if cfg.model.perceptual.type == 'LPIPSLoss':
        cfg.model.perceptual.vgg_weights = None
    with torch.device('cpu' if path.stem.startswith('toy') else 'meta'):
        sizes = MODELS.build(cfg.model).generator
    # celeba_64 trains at half its size.
    assert sizes.image_size == (32 if path.stem == 'celeba_64' else int(path.stem.split('_')[-1]))


PUBLISHED_LOSSES = dict(  # weight, start, warmup, warmup_floor, interval
    d_gan=('LogisticLoss', 2.0, 0, 10000, 0.5, 1),
    d_patch=('LogisticLoss', 1.0, 10001, 0, 0.0, 1),
    d_r1=('R1Loss', 5.0, 0, 0, 0.0, 16),
    d_patch_r1=('R1Loss', 0.5, 10001, 0, 0.0, 16),
    g_gan=('NonsaturatingLoss', 2.0, 0, 10000, 0.5, 1),
    g_patch=('NonsaturatingLoss', 1.0, 10001, 0, 0.0, 1),
    g_texture_swap=('TextureSwapLoss', 5.0, 0, 20000, 0.0, 1),
    g_chamfer=('ChamferLoss', 200.0, 0, 0, 0.0, 1),
    g_warp=('WarpLoss', 5.0, 0, 20000, 0.0, 1),
)


@pytest.mark.parametrize(
    'name', [p.stem for p in STAGE1 if p.stem not in ('toyfaces_32', 'photos_32', 'celeba_64')]
)
def test_published_hyperparameters(name: str):
    cfg = Config.fromfile(ROOT / 'configs' / 'coordgan' / f'{name}.py')
    found = {}
    for term, loss in cfg.model.losses.items():
        module = MODELS.build(loss)
        found[term] = (
            *(type(module).__name__, module.loss_weight, module.start),
            *(module.warmup, module.warmup_floor, module.interval),
        )
    assert found == PUBLISHED_LOSSES
    assert cfg.model.losses.g_warp.temperature == 0.01
    assert cfg.model.perceptual == dict(type='LPIPSLoss')
    assert cfg.model.ema_decay == 0.5 ** (32 / 10000)
    adam = dict(type='Adam', lr=0.002, betas=(0.0, 0.99))
    assert cfg.optim_wrapper == dict(
        constructor='CoordGANOptimWrapperConstructor',
        generator=dict(optimizer=adam, regularization_interval=4),
        discriminator=dict(optimizer=adam, regularization_interval=16),
    )
    assert cfg.train_cfg.max_iters == 300000 and cfg.train_dataloader.batch_size == 2
    assert cfg.auto_scale_lr.base_batch_size == 16
    assert cfg.model.get('frozen', ()) == (
        ('structure_mapping', 'warp_net') if name == 'celeba_512' else ()
    )


def test_metafile_names_every_config_and_no_result_is_empty():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    entries = []
    for name in index['Import']:
        entries += yaml.safe_load((ROOT / name).read_text())['Models']
    assert sorted(e['Config'] for e in entries) == [str(p.relative_to(ROOT)) for p in CONFIGS]
    for entry in entries:
        for result in entry.get('Results', []):
            assert result['Metrics'], entry['Name']
            assert all(isinstance(v, (int, float)) for v in result['Metrics'].values())
