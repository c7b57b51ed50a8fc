"""LPIPS, the learned perceptual distance, and its unlearned form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor

from mmcoordgan.models.networks.imagenet_features import ImageNetFeatures
from mmcoordgan.registry import MODELS

from .perceptual import PerceptualDistance

TORCHVISION = 'https://download.pytorch.org/models/'
VGG16_WEIGHTS = TORCHVISION + 'vgg16-397923af.pth'
WEIGHTS = {
    'vgg': VGG16_WEIGHTS,
    'alex': TORCHVISION + 'alexnet-owt-7be5be79.pth',
    'squeeze': TORCHVISION + 'squeezenet1_1-b8a52dc0.pth',
}
# Images in [-1, 1] minus the first, over the second: what the networks were trained on.
INPUTS = {
    'torchvision': ((-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)),
    # 127.5 * (x + 1) - (123.68, 116.779, 103.939)
    'caffe': ((-0.029961, -0.084086, -0.184792), (1 / 127.5,) * 3),
}


@MODELS.register_module()
class LPIPSLoss(PerceptualDistance):
    r"""LPIPS v0.1 (arXiv:1801.03924), as published with VGG16.

    .. math::
        d = \sum_l \frac{1}{H_l W_l} \sum_{h, w} w_l \cdot (\hat x_{lhw} - \hat y_{lhw})^2

    with channel-unit-normalized features and learned non-negative weights (``data/README.md``).
    Takes RGB in [-1, 1]; nothing in it is trained or stored in checkpoints.

    Args:
        loss_weight: See :class:`PerceptualDistance`.
        vgg_weights: ``weights`` for ``net='vgg'``. Default: torchvision's.
        dropout: Fraction of the squared differences that is left out at random while training;
            0.5 in the published training.
        net: 'vgg' (VGG16), 'alex' (AlexNet) or 'squeeze' (SqueezeNet 1.1, a twentieth of the cost).
        learned: Use the learned weights. False: :math:`w_l = 1`.
        weights: Path or URL of weights with torchvision's names for ``net``. 'torchvision':
            torchvision's own. None: untrained, to measure cost and to test.
        inputs: 'torchvision', or 'caffe' for networks trained on RGB in 0..255 minus the mean.
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        loss_weight: float = 1.0,
        vgg_weights: str | None = VGG16_WEIGHTS,
        dropout: float = 0.0,
        net: str = 'vgg',
        learned: bool = True,
        weights: str | None = 'torchvision',
        inputs: str = 'torchvision',
    ):
        super().__init__(loss_weight)
        self.dropout = dropout
        self.learned = learned
        self.network = ImageNetFeatures(net)
        key = 'model.perceptual.weights'
        if net == 'vgg' and weights == 'torchvision':
            key, weights = 'model.perceptual.vgg_weights', vgg_weights
        elif vgg_weights != VGG16_WEIGHTS:
            raise ValueError(f"vgg_weights is for net='vgg' without weights, but net is {net!r}")
        if weights == 'torchvision':
            weights = WEIGHTS[net]
        if weights is None:
            print_log(f'LPIPS runs on untrained features (net={net!r})', 'current')
        else:
            self.network.load(weights, key)
        shift, scale = torch.tensor(INPUTS[inputs])
        self.register_buffer('shift', shift[:, None, None], persistent=False)
        self.register_buffer('scale', scale[:, None, None], persistent=False)
        if learned:
            file = Path(__file__).parent / 'data' / f'lpips_v0.1_{net}_linear.npz'
            with np.load(file) as linear:
                for index in range(len(linear)):
                    weight = torch.from_numpy(linear[f'lin{index}.model.1.weight'])
                    self.register_buffer(f'linear_{index}', weight, persistent=False)

    def features(self, images: Tensor) -> list[Tensor]:
        maps = self.network((images - self.shift) / self.scale)
        # sqrt has no finite gradient at 0, where a whole pixel's features are 0. In float16 the
        # bounds are 0, so norms are float32.
        wide = [m.to(torch.promote_types(m.dtype, torch.float32)) for m in maps]
        norms = [m.square().sum(1, keepdim=True).clamp(min=1e-20).sqrt() for m in wide]
        return [m / (n + 1e-10) for m, n in zip(maps, norms)]

    def distance(self, x: list[Tensor], y: list[Tensor]) -> Tensor:
        layers = []
        for index, (a, b) in enumerate(zip(x, y)):
            squares = F.dropout((a - b).square(), self.dropout, self.training)
            if self.learned:
                squares = F.conv2d(squares, getattr(self, f'linear_{index}'))
            else:
                squares = squares.sum(1, keepdim=True)
            layers.append(squares.mean(dim=(1, 2, 3)))
        return torch.stack(layers).sum(0)
