"""Schedules, the structure tensor distance, and loading of VGG weights."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmcoordgan.io.files import load_weights
from mmcoordgan.models.losses import (
    L1Loss,
    LossTerms,
    LPIPSLoss,
    NonsaturatingLoss,
    R1Loss,
    ScheduledLoss,
    StructureTensorLoss,
    WarpLoss,
    structure_tensor,
    warp_loss,
)

NEW = hasattr(torch.amp, 'GradScaler')
HALF = pytest.mark.skipif(not NEW, reason='float16 on a CPU needs PyTorch 2.3')


def test_schedule_of_the_published_terms():
    gan = ScheduledLoss(loss_weight=2.0, warmup=10_000, warmup_floor=0.5)
    assert [gan.weight_at(i) for i in (0, 5000, 7500, 10_000, 10**6)] == [1, 1, 1.5, 2, 2]
    patch = ScheduledLoss(start=10_001)
    assert [patch.weight_at(i) for i in (10_000, 10_001)] == [0, 1]
    swap = ScheduledLoss(loss_weight=5.0, warmup=20_000)
    assert [swap.weight_at(i) for i in (0, 5000, 30_000)] == [0, 1.25, 5]
    r1 = R1Loss(loss_weight=5.0, interval=16)
    assert [r1.weight_at(i) for i in (0, 1, 16, 17)] == [80, 0, 80, 0]
    assert ScheduledLoss(loss_weight=0.0).weight_at(5) == 0


class Double(ScheduledLoss):
    """Twice the view."""

    def forward(self, view):
        return 2 * view


def test_terms_are_weighted_and_belong_to_a_step():
    terms = dict(a=Double(loss_weight=3.0), b=Double(interval=2), c=None, d=R1Loss(on='images'))
    terms = LossTerms(terms, ['generator', 'regularization'], ['discriminator'])
    assert terms.compute('generator', 5.0, 1) == {'a': 30}
    assert terms.compute('generator', 5.0, 2) == {'a': 30, 'b': 20}
    assert terms.compute('discriminator', 5.0, 2) == {}


@pytest.mark.parametrize(
    ('name', 'term', 'message'),
    [
        ('x', L1Loss(on='coords'), 'loss term x: L1Loss is no loss term of generator'),
        ('x', StructureTensorLoss(), 'loss term x: StructureTensorLoss is no loss term of gen'),
        ('g_warp', WarpLoss(), 'loss term g_warp needs the network perceptual'),
        ('g_patch', NonsaturatingLoss(), 'term g_patch needs the network patch_discriminator'),
        ('g_gan', NonsaturatingLoss(on='x'), r"needs on, .*but got 'x' \(the names g_gan, g_pat"),
    ],
)
def test_terms_that_do_not_fit(name, term, message):
    with pytest.raises(ValueError, match=message):
        LossTerms({name: term}, ['generator'], ['generator', 'discriminator'])


def test_warp_loss_uses_its_temperature():
    perceptual = StructureTensorLoss()
    images, coords = torch.rand(2, 3, 16, 16), torch.rand(2, 2, 16, 16)
    view = SimpleNamespace(
        perceptual=perceptual,
        fakes=SimpleNamespace(images=images, coords=coords),
        features=perceptual.features(images),
    )
    loss = WarpLoss(temperature=0.08)(view)
    torch.testing.assert_close(loss, warp_loss(perceptual, images, coords, temperature=0.08))
    assert (loss - warp_loss(perceptual, images, coords, temperature=0.04)).abs() > 1e-6


def test_structure_tensor_is_blind_to_colours():
    torch.manual_seed(1)
    images = torch.rand(2, 3, 24, 24) * 2 - 1
    rotation, _ = torch.linalg.qr(torch.randn(3, 3))
    rotated = torch.einsum('ij,bjhw->bihw', rotation, images)
    expected = structure_tensor(images)
    torch.testing.assert_close(structure_tensor(rotated), expected, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(structure_tensor(-images), expected)
    shifted = structure_tensor(images.roll(3, dims=3))
    assert (shifted - expected).abs().mean() > 0.05


def test_structure_tensor_of_a_ramp_by_hand():
    # x grows by 0.1 per pixel in one channel: gx = 0.1, gy = 0, trace t = 0.01 + 0.002.
    x = torch.zeros(1, 3, 9, 9)
    x[0, 0] = 0.1 * torch.arange(9.0)
    found = structure_tensor(x)[0, :, 4, 4]
    expected = 0.01 / 0.012 * 0.5**0.5
    torch.testing.assert_close(found, torch.tensor([expected, 0.0, 0.0]))
    # Along the diagonal gx = gy = 0.1: the mixed entry is sqrt(2) times the others.
    x[0, 0] += 0.1 * torch.arange(9.0)[:, None]
    found = structure_tensor(x)[0, :, 4, 4]
    expected = 0.01 / 0.022 * 0.5**0.5
    torch.testing.assert_close(found, expected * torch.tensor([1.0, 1.0, 2**0.5]))


@pytest.mark.parametrize('dtype', [torch.bfloat16, pytest.param(torch.float16, marks=HALF)])
def test_lpips_in_low_precision_where_features_are_zero(dtype):
    loss = LPIPSLoss(vgg_weights=None)  # without biases, the mean colour has features of zero
    grey, other = loss.shift.expand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    exact = loss(grey, other)
    with torch.autocast('cpu', dtype):
        assert loss(grey, other).item() == pytest.approx(exact.item(), rel=0.02)


def test_lpips_dropout_is_active_while_training():
    loss = LPIPSLoss(vgg_weights=None, dropout=0.5)
    x, y = torch.rand(2, 1, 3, 64, 64)
    exact = loss.eval()(x, y).item()
    values = [loss.train()(x, y).item() for _ in range(20)]
    assert len(set(values)) == 20 and np.mean(values) == pytest.approx(exact, rel=0.05)


def test_missing_vgg_weights_name_file_and_key(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r'perceptual\.vgg_weights: .*nowhere\.pth'):
        LPIPSLoss(vgg_weights=str(tmp_path / 'nowhere.pth'))
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    url = 'http://127.0.0.1:9/vgg16-397923af.pth'  # nothing listens there
    with pytest.raises(FileNotFoundError, match=r'hub/checkpoints/vgg16-397923af\.pth.*config key'):
        LPIPSLoss(vgg_weights=url)


def test_downloaded_file_is_cached_and_not_fetched_again(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    calls = []

    def fake_download(url, path, hash_prefix):
        calls.append((url, hash_prefix))
        torch.save({'a': torch.ones(2)}, path)

    monkeypatch.setattr(torch.hub, 'download_url_to_file', fake_download)
    url = 'http://127.0.0.1:9/weights-0123abcd.pth'
    for _ in range(2):
        assert load_weights(url, 'key')['a'].tolist() == [1, 1]
    assert calls == [(url, '0123abcd')]
