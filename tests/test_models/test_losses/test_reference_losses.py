"""Loss terms and coordinate functions against the values and gradients of the reference."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from reference import image, numbers, relative_error, rnd

from mmcoordgan.geometry import chamfer_to_grid
from mmcoordgan.models.losses import r1_penalty, warp_partners


def test_r1_of_a_known_function():
    x = image('r1', (4, 3, 8, 8)).requires_grad_()
    penalty = r1_penalty(x.pow(3).sum(dim=(1, 2, 3)), [x])
    assert penalty.item() == pytest.approx(
        numbers('losses.json')['d_r1_loss(sum of cubes)'], rel=1e-6
    )
    by_hand = (3 * x.detach() ** 2).square().sum() / 4
    assert penalty.item() == pytest.approx(by_hand.item(), rel=1e-6)


@pytest.mark.parametrize('case', ['warp32_img32_ds1', 'warp32_img128_ds1', 'warp64_img64_ds2'])
def test_soft_correspondence(case):
    data = numbers('losses')
    images = torch.from_numpy(data[f'cor/{case}/image']).requires_grad_()
    coords = torch.from_numpy(data[f'cor/{case}/warp']).requires_grad_()
    halved = coords
    if case.endswith('ds2'):
        halved = F.interpolate(coords, scale_factor=0.5, mode='bilinear', align_corners=False)
    size = halved.shape[-2:]
    resized = F.interpolate(images, size=size, mode='bilinear', align_corners=False)
    warped = warp_partners(resized, halved)
    assert relative_error(warped, data[f'cor/{case}/out']) < 1e-4
    (warped * rnd(f'cot-cor/{case}', tuple(warped.shape))).sum().backward()
    assert relative_error(images.grad, data[f'cor/{case}/grad_image']) < 1e-3
    assert relative_error(coords.grad, data[f'cor/{case}/grad_warp']) < 1e-3


@pytest.mark.parametrize('size', [32, 64])
def test_chamfer(size):
    data = numbers('losses')
    case = f'chamfer/warp{size}_std{size}'
    coords = torch.from_numpy(data[f'{case}/warp']).requires_grad_()
    loss = chamfer_to_grid(coords).mean()
    assert loss.item() == pytest.approx(numbers('losses.json')[case], rel=1e-4)
    loss.backward()
    assert relative_error(coords.grad, data[f'{case}/grad_warp']) < 1e-3


@pytest.mark.parametrize('size', [32, 64, pytest.param(128, marks=pytest.mark.slow)])
def test_lpips(lpips, size):
    data = numbers('losses')
    x = image('lp-x', (2, 3, size, size)).requires_grad_()
    y = image('lp-y', (2, 3, size, size)).requires_grad_()
    loss = lpips(x, y).mean()
    assert loss.item() == pytest.approx(numbers('losses.json')[f'lpips/{size}'], rel=1e-4)
    loss.backward()
    for gradient, name in ((x.grad, 'grad_input'), (y.grad, 'grad_target')):
        expected = data[f'lpips/{size}/{name}']
        difference = np.abs(gradient.numpy() - expected)
        # Rounding decides kinks of ReLU and max-pooling: a few pixels may differ more.
        assert difference.mean() < 3e-3 * np.abs(expected).mean()
        assert np.quantile(difference, 0.995) < 3e-3 * np.abs(expected).max()
