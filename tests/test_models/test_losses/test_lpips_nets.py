"""LPIPS on AlexNet and SqueezeNet, by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmcoordgan.models.losses import LPIPSLoss, lpips
from mmcoordgan.models.networks.imagenet_features import ImageNetFeatures

SIDES = {'alex': [15, 7, 3, 3, 3], 'squeeze': [31, 15, 7, 3, 3, 3, 3]}
"""Of torchvision's features, for images of 64 x 64."""


@pytest.mark.parametrize('net', ['alex', 'squeeze'])
@torch.no_grad()
def test_distance_by_hand(net: str, tmp_path: Path):
    network = ImageNetFeatures(net)
    torch.save(dict(network.named_buffers()), tmp_path / 'net.pth')
    taps = list(network.taps)
    x, y = torch.rand(2, 2, 3, 64, 64) * 2 - 1
    loss = LPIPSLoss(net=net, weights=str(tmp_path / 'net.pth'))
    plain = LPIPSLoss(net=net, weights=str(tmp_path / 'net.pth'), learned=False, inputs='caffe')
    data = Path(lpips.__file__).parent / 'data' / f'lpips_v0.1_{net}_linear.npz'
    with np.load(data) as linear:
        weights = [torch.from_numpy(linear[f'lin{i}.model.1.weight']) for i in range(len(taps))]

    def distance(x, y, weights):
        total = 0
        for position, layer in enumerate(network.features):
            x, y = layer(x), layer(y)
            if position in taps:
                assert x.shape[-1] == SIDES[net][taps.index(position)]
                a, b = (v / (v.norm(dim=1, keepdim=True) + 1e-10) for v in (x, y))
                weight = weights[taps.index(position)] if weights else torch.ones(1)
                total += ((a - b).square() * weight.view(1, -1, 1, 1)).sum(1).mean((1, 2))
        return total

    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    x1, y1 = (((v + 1) / 2 - mean) / std for v in (x, y))
    assert torch.allclose(loss(x, y), distance(x1, y1, weights), rtol=1e-3)
    caffe = torch.tensor([123.68, 116.779, 103.939]).view(3, 1, 1)
    x2, y2 = (127.5 * (v + 1) - caffe for v in (x, y))
    assert torch.allclose(plain(x, y), distance(x2, y2, None), rtol=1e-3)
    assert not torch.allclose(loss(x, y), plain(x, y), rtol=0.1)


def test_bad_arguments(tmp_path: Path):
    with pytest.raises(ValueError, match="vgg_weights is for net='vgg'"):
        LPIPSLoss(net='alex', vgg_weights='vgg.pth')
    torch.save({'features.0.weight': torch.zeros(1)}, tmp_path / 'other.pth')
    with pytest.raises(ValueError, match=r"net='squeeze': features.0.weight must have shape"):
        LPIPSLoss(net='squeeze', weights=str(tmp_path / 'other.pth'))
