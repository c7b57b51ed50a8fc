"""FID by torch-fidelity, on untrained weights from a file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from test_metrics import Recorder, expected_fid, toy_pictures
from torch import nn
from torch_fidelity import feature_extractor_inceptionv3 as inception

ROOT = Path(__file__).parents[2]


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    with monkeypatch.context() as patch:
        patch.setattr(inception, 'load_state_dict_from_url', lambda *args, **kwargs: {})
        patch.setattr(nn.Module, 'load_state_dict', lambda self, state: None)
        torch.manual_seed(0)
        network = inception.FeatureExtractorInceptionV3('x', ['64'])
    torch.save(network.state_dict(), tmp_path / 'inception.pth')
    return str(tmp_path / 'inception.pth')


def test_fid(weights: str, tmp_path: Path):
    cfg = Config.fromfile(ROOT / 'configs' / 'coordgan' / 'toyfaces_32.py')
    cfg.work_dir = str(tmp_path)
    cfg.test_dataloader.update(batch_size=4)
    cfg.test_dataloader.dataset = dict(type='ToyFaces', size=32, length=12, seed=2000)
    cfg.test_evaluator = dict(type='FID', weights=weights, layer='64')
    cfg.default_hooks = dict(checkpoint=None, logger=None)
    runner, recorder = Runner.from_cfg(cfg), Recorder()
    runner.register_hook(recorder)
    found = runner.test()
    metric = runner.test_loop.evaluator.metrics[0]
    fakes = ((recorder.pictures() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    real = torch.from_numpy(toy_pictures()).permute(0, 3, 1, 2)
    features = [metric.extractor(images)[0].double().numpy() for images in (fakes, real)]
    assert list(found) == ['FID-12-inception-v3-compat-64']
    expected = expected_fid(*features)
    assert expected > 0 and np.isfinite(expected)
    assert found['FID-12-inception-v3-compat-64'] == pytest.approx(expected, rel=0.02)
