"""MMagic's metrics on CoordGAN under MMagic's test loop."""

import json
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmagic.evaluation import SlicedWassersteinDistance
from mmagic.evaluation.metrics.ms_ssim import ms_ssim
from mmagic.structures import DataSample
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn

from mmcoordgan.datasets import ToyFaces
from mmcoordgan.evaluation import SwapConsistency

CONFIGS = Path(__file__).parents[2] / 'configs'


class Recorder(Hook):
    """Keeps what the metrics get."""

    def __init__(self):
        self.batches: list[list[DataSample]] = []
        self.metrics: dict[str, float] = {}

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.batches.append(outputs)

    def after_test_epoch(self, runner, metrics=None):
        self.metrics = metrics  # MMagic's test loop does not return them

    def pictures(self, key: str = 'fake_img') -> Tensor:
        return torch.stack([sample.get(key) for batch in self.batches for sample in batch])


def recorded(runner) -> tuple[dict, Recorder]:
    recorder = Recorder()
    runner.register_hook(recorder)
    runner.test()
    return recorder.metrics, recorder


def toy_pictures() -> np.ndarray:
    faces = ToyFaces(size=32, length=12, seed=2000)
    return np.stack([faces.get_data_info(i)['img'] for i in range(12)])


def expected_fid(x: np.ndarray, y: np.ndarray) -> float:
    """From features (N, C), by the eigenvalues of the product of the covariances."""
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    roots = np.sqrt(np.maximum(np.linalg.eigvals(a @ b).real, 0)).sum()
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * roots


class Means(nn.Module):
    """Called as the StyleGAN authors' Inception: mean colours as features."""

    def forward(self, images: Tensor, return_features: bool = False) -> Tensor:
        return images.float().mean(dim=[2, 3])


@pytest.mark.parametrize('sample_model', ['ema', 'orig'])
def test_fid(build_runner, tmp_path: Path, sample_model: str):
    means = str(tmp_path / 'means.pt')
    torch.jit.script(Means()).save(means)
    metric = dict(type='mmagic.FrechetInceptionDistance', inception_path=means)
    metric.update(prefix='FID-8-means', fake_nums=8, real_nums=-1, sample_model=sample_model)
    runner = build_runner([metric])
    (tmp_path / 'cache').mkdir()
    nn.init.constant_(runner.model.generator.stem_to_rgb.bias, 5.0)  # tells it from the average
    found, recorder = recorded(runner)
    fakes = recorder.pictures()[:8]
    assert fakes.min() >= 0 and 1 < fakes.max() <= 255
    assert (fakes.mean() > 200) == (sample_model == 'orig')
    features = fakes.flip(1).to(torch.uint8).float().mean((2, 3)).numpy()
    real = toy_pictures().mean((1, 2))
    assert found['FID-8-means/fid'] == pytest.approx(expected_fid(features, real), rel=1e-3)


def test_swd_sees_the_real_images_beside_the_generated(build_runner):
    metric = dict(type='mmagic.SWD', prefix='SWD-12', fake_nums=12, image_shape=(3, 32, 32))
    found, recorder = recorded(build_runner([metric]))
    real = recorder.pictures('gt_img').flip(1).permute(0, 2, 3, 1)
    assert np.array_equal(real.numpy(), toy_pictures())
    assert recorder.pictures().shape == (12, 3, 32, 32)
    assert [s.sample_idx for batch in recorder.batches for s in batch] == list(range(12))
    # MMagic's own computation on these images; its random patches scatter by about 4 %.
    again = SlicedWassersteinDistance(12, (3, 32, 32))
    again.process({}, [sample.to_dict() for batch in recorder.batches for sample in batch])
    assert found['SWD-12/avg'] == pytest.approx(again.evaluate()['avg'], rel=0.15)


def test_both_generators_at_once(build_runner):
    model = build_runner().model
    nn.init.constant_(model.generator.stem_to_rgb.bias, 0.5)
    samples = model.test_step({'inputs': dict(sample_model='ema/orig', num_batches=2)})
    assert len(samples) == 2 and isinstance(samples[0], DataSample)
    assert (samples[0].orig.fake_img - samples[0].ema.fake_img).abs().max() > 1
    # Products of matrices round by where in memory they lie.
    assert torch.allclose(samples[0].orig.coords, samples[0].ema.coords, atol=1e-6)


@pytest.fixture
def arcface(tmp_path: Path) -> str:
    """Untrained weights of ArcFace's network in a file."""
    from mmagic.models.editors.arcface.model_irse import Backbone

    torch.manual_seed(0)
    network = Backbone(input_size=112, num_layers=50, drop_ratio=0.6, mode='ir_se')
    path = tmp_path / 'arcface.pth'
    torch.save(network.state_dict(), path)
    yield str(path)
    path.unlink()
    shutil.rmtree(tmp_path / 'torch')


def test_identity(arcface: str):
    identity = dict(type='mmagic.IDLossModel', ir_se50_weights=arcface)
    metric = SwapConsistency(dict(type='mmcoordgan.StructureTensorLoss'), identity=identity)
    faces = torch.rand(3, 3, 64, 64) * 2 - 1
    names = ('fake_img', 'texture_swap_img', 'structure_swap_img')
    metric.process(None, [dict(zip(names, [faces[0], faces[0], faces[2]]))])
    found = metric.evaluate(1)
    assert found['swap/texture_swap_identity'] == pytest.approx(0, abs=1e-5)
    loss, _ = metric.identity(faces[2:], faces[:1])  # MMagic's own: 1 minus the cosine
    assert found['swap/structure_swap_identity'] == pytest.approx(loss.item(), abs=1e-5)
    assert found['swap/structure_swap_identity'] > 1e-4


def test_our_tool_writes_what_mmagics_loop_measures(build_runner, tmp_path: Path, monkeypatch):
    runner, recorder = build_runner(), Recorder()
    test = Runner.test
    monkeypatch.setattr(Runner, 'test', lambda run: run.register_hook(recorder) or test(run))
    torch.save({'state_dict': runner.model.state_dict()}, tmp_path / 'model.pth')
    arguments = [CONFIGS / 'mmagic' / 'toyfaces_32_metrics.py', tmp_path / 'model.pth']
    arguments += ['--work-dir', tmp_path / 'work', '--out', tmp_path / 'metrics.json']
    arguments += ['--cfg-options', 'test_dataloader.dataset.length=10']
    arguments += [f'test_evaluator.metrics.{i}.fake_nums=10' for i in range(2)]
    arguments += ['test_evaluator.metrics.2.num_samples=3', 'test_dataloader.batch_size=10']
    tool = runpy.run_path(str(CONFIGS.parent / 'tools' / 'test.py'))
    tool['main'](list(map(str, arguments)))
    written = json.loads((tmp_path / 'metrics.json').read_text())
    assert written == recorder.metrics
    fakes = recorder.pictures()[:10].permute(0, 2, 3, 1).numpy()
    expected = ms_ssim(fakes[0::2], fakes[1::2])
    assert written['MS-SSIM-1000/avg'] == pytest.approx(expected, abs=1e-4)
