"""MMagic's StyleGAN2 on our parts: the order of its channels."""

import types
from pathlib import Path

import numpy as np
import pytest
import torch
from mmagic.evaluation import MultiScaleStructureSimilarity
from mmagic.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from mmcoordgan.integrations.mmagic import PackMMagicInputs

ROOT = Path(__file__).parents[2]
ORANGE = torch.tensor([1.0, 0.0, -1.0])
BGR = [0, 127.5, 255]


class OneColour(nn.Module):
    """Called as MMagic's generators are."""

    def forward(self, noise: Tensor, return_noise: bool = False) -> Tensor:
        return ORANGE[:, None, None].expand(len(noise), 3, 16, 16)


def build(name: str) -> nn.Module:
    cfg = Config.fromfile(ROOT / 'configs' / 'mmagic' / f'{name}.py')
    init_default_scope(cfg.default_scope)
    return MODELS.build(cfg.model)


@pytest.mark.parametrize('name', ['stylegan2_16', 'stylegan2_coordgan_16'])
def test_metrics_see_bgr(name: str):
    model = build(name)
    model.generator_ema = model.generator = OneColour()
    metric = MultiScaleStructureSimilarity(fake_nums=2)
    loader = types.SimpleNamespace(batch_size=2, dataset=None)
    request = next(iter(metric.get_metric_sampler(model, loader, [metric])))
    for sample in model.test_step(request):
        assert sample.fake_img.mean((1, 2)).tolist() == BGR
    for sample in model.test_step({'inputs': dict(sample_model='ema/orig', num_batches=2)}):
        assert sample.ema.fake_img[:, 0, 0].tolist() == BGR
        assert sample.orig.fake_img[:, 0, 0].tolist() == BGR
    # Beside real images.
    pixels = np.broadcast_to(np.uint8([255, 128, 0]), (16, 16, 3))
    packed = [PackMMagicInputs().transform({'img': pixels}) for _ in range(2)]
    batch = {key: [one[key] for one in packed] for key in packed[0]}
    for sample in model.test_step(batch):
        assert sample.fake_img[:, 0, 0].tolist() == BGR
        assert sample.gt_img[:, 0, 0].tolist() == [0, 128, 255]


def test_the_model_is_trained_on_rgb():
    pixels = np.broadcast_to(np.uint8([255, 0, 0]), (16, 16, 3))
    packed = PackMMagicInputs().transform({'img': pixels})
    batch = {key: [value] for key, value in packed.items()}
    preprocessor = build('stylegan2_16').data_preprocessor
    data = preprocessor(batch, training=True)
    assert data['inputs'][0, :, 0, 0].tolist() == [1, -1, -1]
    assert data['data_samples'].gt_img[0, :, 0, 0].tolist() == [1, -1, -1]
