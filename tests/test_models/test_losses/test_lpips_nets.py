"""LPIPS on AlexNet and SqueezeNet, against networks put together from PyTorch's modules."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mmcoordgan.models.losses import LPIPSLoss, lpips


class Fire(nn.Module):
    def __init__(self, inputs: int, squeeze: int, expand: int):
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x):
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x).relu(), self.expand3x3(x).relu()], 1)


def relu() -> nn.Module:
    return nn.ReLU()


def build(net: str) -> tuple[nn.Sequential, list[int]]:
    """The features as torchvision lists them, and the positions behind which LPIPS looks."""
    torch.manual_seed(0)
    if net == 'alex':
        layers = [nn.Conv2d(3, 64, 11, 4, 2), relu(), nn.MaxPool2d(3, 2)]
        layers += [nn.Conv2d(64, 192, 5, 1, 2), relu(), nn.MaxPool2d(3, 2)]
        layers += [nn.Conv2d(192, 384, 3, 1, 1), relu(), nn.Conv2d(384, 256, 3, 1, 1), relu()]
        layers += [nn.Conv2d(256, 256, 3, 1, 1), relu(), nn.MaxPool2d(3, 2)]
        return nn.Sequential(*layers), [1, 4, 7, 9, 11]
    pool = nn.MaxPool2d(3, 2, ceil_mode=True)
    layers = [nn.Conv2d(3, 64, 3, 2), relu(), pool, Fire(64, 16, 64), Fire(128, 16, 64), pool]
    layers += [Fire(128, 32, 128), Fire(256, 32, 128), pool, Fire(256, 48, 192)]
    layers += [Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256)]
    return nn.Sequential(*layers), [1, 4, 7, 9, 10, 11, 12]


@pytest.mark.parametrize('net', ['alex', 'squeeze'])
@torch.no_grad()
def test_distance_by_hand(net: str, tmp_path: Path):
    features, taps = build(net)
    state = {f'features.{name}': value for name, value in features.state_dict().items()}
    torch.save(state, tmp_path / 'net.pth')
    x, y = torch.rand(2, 2, 3, 64, 64) * 2 - 1
    loss = LPIPSLoss(net=net, weights=str(tmp_path / 'net.pth'))
    plain = LPIPSLoss(net=net, weights=str(tmp_path / 'net.pth'), learned=False, inputs='caffe')
    data = Path(lpips.__file__).parent / 'data' / f'lpips_v0.1_{net}_linear.npz'
    with np.load(data) as linear:
        weights = [torch.from_numpy(linear[f'lin{i}.model.1.weight']) for i in range(len(taps))]

    def distance(x, y, weights):
        total = 0
        for position, layer in enumerate(features):
            x, y = layer(x), layer(y)
            if position in taps:
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
