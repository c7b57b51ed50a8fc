"""Feature maps of classification networks that perceptual distances compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmcoordgan.io.files import load_weights


@dataclass(frozen=True)
class Conv:
    """A convolution and ReLU; ``name`` is torchvision's."""

    name: str
    in_channels: int
    out_channels: int
    kernel: int
    stride: int = 1
    padding: int = 0
    tap: bool = False

    @property
    def convs(self) -> tuple[Conv, ...]:
        return (self,)


@dataclass(frozen=True)
class Fire:
    """SqueezeNet's module: squeeze, then expand by 1x1 and 3x3 kernels, side by side."""

    name: str
    in_channels: int
    squeeze: int
    expand: int
    tap: bool = False

    @property
    def convs(self) -> tuple[Conv, ...]:
        return (
            Conv(f'{self.name}.squeeze', self.in_channels, self.squeeze, 1),
            Conv(f'{self.name}.expand1x1', self.squeeze, self.expand, 1),
            Conv(f'{self.name}.expand3x3', self.squeeze, self.expand, 3, padding=1),
        )


@dataclass(frozen=True)
class Pool:
    """Max pooling with stride 2."""

    kernel: int
    ceil: bool = False
    tap = False
    convs: tuple[Conv, ...] = ()


Layer = Union[Conv, Fire, Pool]


def _vgg16() -> list[Layer]:
    layers: list[Layer] = []
    position, channels = 0, 3
    for count, width in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        if layers:
            layers.append(Pool(2))
            position += 1
        for index in range(count):
            tap = index == count - 1
            layers.append(Conv(f'{position}', channels, width, 3, padding=1, tap=tap))
            position, channels = position + 2, width
    return layers


NETS: dict[str, list[Layer]] = {
    'vgg': _vgg16(),
    'alex': [
        Conv('0', 3, 64, 11, stride=4, padding=2, tap=True),
        Pool(3),
        Conv('3', 64, 192, 5, padding=2, tap=True),
        Pool(3),
        Conv('6', 192, 384, 3, padding=1, tap=True),
        Conv('8', 384, 256, 3, padding=1, tap=True),
        Conv('10', 256, 256, 3, padding=1, tap=True),
    ],
    'squeeze': [
        Conv('0', 3, 64, 3, stride=2, tap=True),
        Pool(3, ceil=True),
        Fire('3', 64, 16, 64),
        Fire('4', 128, 16, 64, tap=True),
        Pool(3, ceil=True),
        Fire('6', 128, 32, 128),
        Fire('7', 256, 32, 128, tap=True),
        Pool(3, ceil=True),
        Fire('9', 256, 48, 192, tap=True),
        Fire('10', 384, 48, 192, tap=True),
        Fire('11', 384, 64, 256, tap=True),
        Fire('12', 512, 64, 256, tap=True),
    ],
}
"""The layers that LPIPS looks at: of VGG16, AlexNet and SqueezeNet 1.1."""


class ImageNetFeatures(nn.Module):
    """Feature maps of a network trained on ImageNet; frozen, not part of state dicts.

    Args:
        net: 'vgg' (VGG16), 'alex' (AlexNet) or 'squeeze' (SqueezeNet 1.1).
    """

    def __init__(self, net: str):
        super().__init__()
        self.net = net
        for conv in self._convs():
            shape = (conv.out_channels, conv.in_channels, conv.kernel, conv.kernel)
            scale = (2 / (conv.in_channels * conv.kernel**2)) ** 0.5
            self.register_buffer(_key(conv, 'weight'), scale * torch.randn(shape), persistent=False)
            self.register_buffer(_key(conv, 'bias'), torch.zeros(shape[0]), persistent=False)

    def _convs(self) -> list[Conv]:
        return [conv for layer in NETS[self.net] for conv in layer.convs]

    def load(self, source: str, config_key: str) -> None:
        """Load torchvision's weights (``features.0.weight`` ...); see :func:`~.load_weights`."""
        state = load_weights(source, config_key=config_key)
        for conv in self._convs():
            for kind in ('weight', 'bias'):
                key, buffer = f'features.{conv.name}.{kind}', getattr(self, _key(conv, kind))
                if key not in state or state[key].shape != buffer.shape:
                    found = tuple(state[key].shape) if key in state else 'nothing'
                    raise ValueError(
                        f'{source} is no checkpoint of torchvision for net={self.net!r}: {key} '
                        f'must have shape {tuple(buffer.shape)}, but found {found} (config key '
                        f'{config_key})'
                    )
                buffer.copy_(state[key])

    def forward(self, x: Tensor) -> list[Tensor]:
        """Normalized images (B, 3, H, W) -> the tapped feature maps (B, C_k, H_k, W_k)."""
        features = []
        for layer in NETS[self.net]:
            if isinstance(layer, Pool):
                x = F.max_pool2d(x, layer.kernel, 2, ceil_mode=layer.ceil)
            elif isinstance(layer, Conv):
                x = self._conv(x, layer)
            else:
                squeeze, *expand = layer.convs
                x = self._conv(x, squeeze)
                x = torch.cat([self._conv(x, conv) for conv in expand], 1)
            if layer.tap:
                features.append(x)
        return features

    def _conv(self, x: Tensor, conv: Conv) -> Tensor:
        weight, bias = getattr(self, _key(conv, 'weight')), getattr(self, _key(conv, 'bias'))
        return F.conv2d(x, weight, bias, conv.stride, conv.padding).relu()


def _key(conv: Conv, kind: str) -> str:
    return f'{kind}_{conv.name}'.replace('.', '_')
