"""FID without torch-fidelity; with it, see test_mmagic/test_mmagic_fid.py."""

from __future__ import annotations

import pickle
import sys
import types
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from torch import Tensor, nn

from mmcoordgan.evaluation import FID
from mmcoordgan.models.networks import CoordGANGenerator
from mmcoordgan.registry import DATASETS

ROOT = Path(__file__).parents[2]


def test_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch_fidelity', None)
    with pytest.raises(ImportError, match='Run: pip install torch-fidelity'):
        FID()


class Mean(nn.Module):
    """In place of Inception: the mean colour, many times."""

    def __init__(self, name: str, layers: list[str], weights: str | None):
        super().__init__()

    def forward(self, images: Tensor) -> tuple[Tensor]:
        assert images.dtype == torch.uint8
        return (images.float().mean((2, 3)).repeat(1, 2048 // 3),)


@pytest.fixture
def metric(monkeypatch) -> FID:
    name = 'torch_fidelity.feature_extractor_inceptionv3'
    module = types.SimpleNamespace(FeatureExtractorInceptionV3=Mean, URL_INCEPTION_V3='http://x')
    monkeypatch.setitem(sys.modules, 'torch_fidelity', types.ModuleType('torch_fidelity'))
    monkeypatch.setitem(sys.modules, name, module)
    return FID()


def test_weights_that_cannot_be_downloaded(metric: FID, monkeypatch):
    def offline(*arguments):
        raise URLError('no route')

    monkeypatch.setattr(Mean, '__init__', offline)
    with pytest.raises(FileNotFoundError, match=r'no route.*Download http://x .*set FID\.weights'):
        FID()


def test_the_recipe_of_the_reference(tmp_path: Path):
    """The first images by name as they are, and noise that is fresh for each sample."""
    cfg = Config.fromfile(ROOT / 'configs' / 'evaluation' / 'fid_celeba_128.py')
    assert cfg.test_dataloader.dataset.indices == 10000
    assert cfg.test_evaluator == dict(type='FID')
    pixels = np.random.default_rng(0).integers(0, 256, (12, 128, 128, 3), dtype=np.uint8)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f'{number:02}.png')
    cfg.test_dataloader.dataset.update(data_root=str(tmp_path), indices=10)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    found = np.stack([sample['inputs'].permute(1, 2, 0) for sample in dataset])
    assert np.array_equal(found, pixels[:10])

    noise = cfg.model.generator.eval_noise
    small = dict(image_size=8, base_resolution=8, channels=4, mapping_layers=1, warp_channels=4)
    generator = CoordGANGenerator(**small, eval_noise=noise, structure_dim=4, texture_dim=4).eval()
    nn.init.ones_(generator.stem.noise_strength)
    codes = torch.ones(1, 4), torch.ones(1, 4)
    assert not torch.equal(generator(*codes), generator(*codes))
    generator.eval_noise = 'const'
    assert torch.equal(generator(*codes), generator(*codes))


def batch(fakes: Tensor) -> tuple[dict, list[dict]]:
    real = torch.full(fakes.shape, 100, dtype=torch.uint8)
    return {'inputs': list(real)}, [{'fake_img': fake} for fake in fakes]


def test_what_processes_exchange_is_the_features(metric: FID):
    metric.process(*batch(torch.full((50, 3, 2, 2), 0.2)))
    real, fake = metric.results[7]
    assert real.shape == (2046,) and (real == 100).all() and (fake == 153).all()
    size = sum(len(pickle.dumps(pair)) for pair in metric.results)
    assert size < 1.1 * 50 * 2 * 2046 * 4 + 50 * 1000


def test_images_in_bytes(metric: FID):
    with pytest.raises(ValueError, match=r'a value is 255.*with PackInputs'):
        metric.process(*batch(torch.tensor([0.0, 255.0]).expand(2, 3, 2, 2)))
    metric.process(*batch(torch.tensor([-9.0, 9.0]).expand(2, 3, 2, 2)))  # as a bad generator's
    assert (metric.results[0][1] == 127.5).all()
