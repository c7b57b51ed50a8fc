"""LPIPS, the learned perceptual distance on VGG16 features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor, nn

from mmcoordgan.io.weights import load_weights
from mmcoordgan.registry import MODELS

from .perceptual import PerceptualDistance

VGG16_WEIGHTS = 'https://download.pytorch.org/models/vgg16-397923af.pth'
VGG16_CHANNELS: tuple[int | str, ...] = (
    *(64, 64, 'pool'),
    *(128, 128, 'pool'),
    *(256, 256, 256, 'pool'),
    *(512, 512, 512, 'pool'),
    *(512, 512, 512),
)
TAPPED_LAYERS = (2, 7, 14, 21, 28)
"""Positions of the convolutions before relu1_2, 2_2, 3_3, 4_3, 5_3 in torchvision's layer list."""


class VGG16Features(nn.Module):
    """The five feature maps of VGG16 that LPIPS compares; frozen, not part of state dicts."""

    def __init__(self):
        super().__init__()
        self.layers: list[int | None] = []  # position in torchvision's list, None for pooling
        position, in_channels = 0, 3
        for item in VGG16_CHANNELS:
            if isinstance(item, str):
                self.layers.append(None)
                position += 1
                continue
            weight = torch.randn(item, in_channels, 3, 3) * (2 / (9 * in_channels)) ** 0.5
            self.register_buffer(f'weight_{position}', weight, persistent=False)
            self.register_buffer(f'bias_{position}', torch.zeros(item), persistent=False)
            self.layers.append(position)
            position, in_channels = position + 2, item

    def load(self, source: str) -> None:
        """Load torchvision's VGG16 (``features.0.weight`` ...) from a path or URL."""
        state = load_weights(source, config_key='perceptual.vgg_weights')
        for name, buffer in self.named_buffers():
            kind, position = name.split('_')
            key = f'features.{position}.{kind}'
            if key not in state or state[key].shape != buffer.shape:
                found = tuple(state[key].shape) if key in state else 'nothing'
                raise ValueError(
                    f'{source} is not a VGG16 checkpoint of torchvision: {key} must have shape '
                    f'{tuple(buffer.shape)}, but found {found} (config key perceptual.vgg_weights)'
                )
            buffer.copy_(state[key])

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for position in self.layers:
            if position is None:
                x = F.max_pool2d(x, 2)
                continue
            weight = getattr(self, f'weight_{position}')
            x = F.conv2d(x, weight, getattr(self, f'bias_{position}'), padding=1).relu()
            if position in TAPPED_LAYERS:
                features.append(x)
        return features


@MODELS.register_module()
class LPIPSLoss(PerceptualDistance):
    r"""LPIPS v0.1 with VGG16 (arXiv:1801.03924).

    .. math::
        d = \sum_l \frac{1}{H_l W_l} \sum_{h, w} w_l \cdot (\hat x_{lhw} - \hat y_{lhw})^2

    with channel-unit-normalized features of relu1_2 ... relu5_3 and the learned non-negative
    weights that ship with this package (``data/README.md``), for each image. Takes RGB in
    [-1, 1]; nothing in it is trained or stored in checkpoints.

    Args:
        loss_weight: Factor on the result of ``forward``.
        vgg_weights: Path or URL of torchvision's VGG16 weights; a URL is downloaded once. None:
            untrained weights, which only serve to measure cost and to test.
        dropout: Fraction of the squared differences that is left out at random while training;
            0.5 in the published training.

    Raises:
        FileNotFoundError: If the file is missing or cannot be downloaded.
        ValueError: If the file holds something else.
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        loss_weight: float = 1.0,
        vgg_weights: str | None = VGG16_WEIGHTS,
        dropout: float = 0.0,
    ):
        super().__init__(loss_weight)
        self.dropout = dropout
        self.vgg = VGG16Features()
        if vgg_weights is None:
            print_log('LPIPS runs on untrained VGG16 features (vgg_weights=None)', 'current')
        else:
            self.vgg.load(vgg_weights)
        shift, scale = torch.tensor([[-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]])
        self.register_buffer('shift', shift[:, None, None], persistent=False)
        self.register_buffer('scale', scale[:, None, None], persistent=False)
        with np.load(Path(__file__).parent / 'data' / 'lpips_v0.1_vgg_linear.npz') as linear:
            for index in range(len(TAPPED_LAYERS)):
                weight = torch.from_numpy(linear[f'lin{index}.model.1.weight'])
                self.register_buffer(f'linear_{index}', weight, persistent=False)

    def features(self, images: Tensor) -> list[Tensor]:
        maps = self.vgg((images - self.shift) / self.scale)
        # sqrt has no finite gradient at 0, where a whole pixel's features are 0. In float16 the
        # bounds are 0, so norms are float32.
        wide = [m.to(torch.promote_types(m.dtype, torch.float32)) for m in maps]
        norms = [m.square().sum(1, keepdim=True).clamp(min=1e-20).sqrt() for m in wide]
        return [m / (n + 1e-10) for m, n in zip(maps, norms)]

    def distance(self, x: list[Tensor], y: list[Tensor]) -> Tensor:
        layers = []
        for index, (a, b) in enumerate(zip(x, y)):
            squares = F.dropout((a - b).square(), self.dropout, self.training)
            weighted = F.conv2d(squares, getattr(self, f'linear_{index}'))
            layers.append(weighted.mean(dim=(1, 2, 3)))
        return torch.stack(layers).sum(0)
