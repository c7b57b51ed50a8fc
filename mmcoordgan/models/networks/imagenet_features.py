"""Feature maps of classification networks, for perceptual distances and templates."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import torch
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


NETS = {
    'vgg': (_vgg16, (3, 8, 15, 22, 29)),
    'alex': (_alexnet, (1, 4, 7, 9, 11)),
    'squeeze': (_squeezenet, (1, 4, 7, 9, 10, 11, 12)),
}
"""VGG16, AlexNet and SqueezeNet 1.1 as torchvision lists their layers, and those behind which
LPIPS looks."""


class ImageNetFeatures(nn.Module):
    """Feature maps of a network trained on ImageNet; frozen, not part of state dicts.

    Args:
        net: 'vgg' (VGG16), 'alex' (AlexNet) or 'squeeze' (SqueezeNet 1.1).
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
        """Load torchvision's weights (``features.0.weight`` ...); see :func:`~.load_weights`."""
        state = load_weights(source, config_key=config_key)
        for key, buffer in self.named_buffers():
            if key not in state or state[key].shape != buffer.shape:
                found = tuple(state[key].shape) if key in state else 'nothing'
                raise ValueError(
                    f'{source} is no checkpoint of torchvision for net={self.net!r}: {key} must '
                    f'have shape {tuple(buffer.shape)}, but found {found} (config key {config_key})'
                )
            buffer.copy_(state[key])

    def forward(self, x: Tensor) -> list[Tensor]:
        """Normalized images (B, 3, H, W) -> the tapped feature maps (B, C_k, H_k, W_k)."""
        return tapped(self.features, self.taps, x)


def tapped(layers: Iterable[nn.Module], taps: Collection[int], x: Tensor) -> list[Tensor]:
    """What the layers at the positions ``taps`` give, where all follow one another."""
    features = []
    for position, layer in enumerate(layers):
        x = layer(x)
        if position in taps:
            features.append(x)
    return features
