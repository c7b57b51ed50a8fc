"""EfficientNet-Lite0 with folded batch norms, against its definition by functions of PyTorch."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmcoordgan.models.networks.imagenet_features import ImageNetFeatures

BLOCKS = [(32, 16, 3, 2), (16, 24, 3, 2), (24, 24, 3, 1), (24, 40, 5, 2), (40, 40, 5, 1)]
"""Input, output, kernel, stride; the first one does not expand and has stride 1."""


def random_state() -> dict[str, torch.Tensor]:
    """Tensors by the names of the published file."""
    state = {}

    def layer(conv: str, norm: str, *shape: int) -> None:
        state[f'{conv}.weight'] = torch.randn(shape) / math.sqrt(math.prod(shape[1:]))
        for name in ('weight', 'bias', 'running_mean', 'running_var'):
            state[f'{norm}.{name}'] = torch.rand(shape[0]) + 0.2

    layer('_conv_stem', '_bn0', 32, 3, 3, 3)
    for number, (first, last, kernel, _) in enumerate(BLOCKS):
        block, wide = f'_blocks.{number}', first * (6 if number else 1)
        if number:
            layer(f'{block}._expand_conv', f'{block}._bn0', wide, first, 1, 1)
        layer(f'{block}._depthwise_conv', f'{block}._bn1', wide, 1, kernel, kernel)
        layer(f'{block}._project_conv', f'{block}._bn2', last, wide, 1, 1)
    return state


def reference(state: dict[str, torch.Tensor], x: torch.Tensor) -> list[torch.Tensor]:
    def layer(conv, norm, x, stride=1, groups=1):
        weight = state[f'{conv}.weight']
        side, kernel = x.shape[-1], weight.shape[-1]
        total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
        x = F.conv2d(
            F.pad(x, (total // 2, total - total // 2) * 2), weight, None, stride, 0, 1, groups
        )
        names = ('running_mean', 'running_var', 'weight', 'bias')
        return F.batch_norm(x, *(state[f'{norm}.{name}'] for name in names), eps=1e-3)

    found, x = [], F.relu6(layer('_conv_stem', '_bn0', x, 2))
    for number, (_, _, _, stride) in enumerate(BLOCKS):
        block, wide = f'_blocks.{number}', x
        if number:
            wide = F.relu6(layer(f'{block}._expand_conv', f'{block}._bn0', x))
        stride = stride if number else 1
        wide = layer(f'{block}._depthwise_conv', f'{block}._bn1', wide, stride, wide.shape[1])
        out = layer(f'{block}._project_conv', f'{block}._bn2', F.relu6(wide))
        x = x + out if out.shape == x.shape else out
        found.append(x)
    return [found[0], found[2], found[4]]


def test_lite0(tmp_path):
    torch.manual_seed(0)
    state = random_state()
    torch.save(state, tmp_path / 'lite0.pth')
    network, images = ImageNetFeatures('lite0'), torch.randn(2, 3, 32, 32)
    network.load(str(tmp_path / 'lite0.pth'), 'features')
    assert [x.shape[1:] for x in network(images)] == [(16, 16, 16), (24, 8, 8), (40, 4, 4)]
    for found, expected in zip(network(images), reference(state, images)):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert not network.state_dict()
    del state['_blocks.3._bn2.running_var']
    torch.save(state, tmp_path / 'lite0.pth')
    with pytest.raises(
        ValueError, match=r'lite0.pth .* net=.lite0.: features.4.project.weight must'
    ):
        network.load(str(tmp_path / 'lite0.pth'), 'features')
