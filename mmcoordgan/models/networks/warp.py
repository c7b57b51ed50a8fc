"""The coordinate warp network: a structure code moves every point of the canonical frame."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmcoordgan.geometry import canonical_grid

RESIDUAL_SCALE = 0.9  # of the residual form's identity: tanh never reaches the frame's border
RESIDUAL_INIT = 0.6  # of the usual size of its last layer: maps differ at the start, without folds


class ExactConv1x1(nn.Conv2d):
    """1x1 convolution in full float32, as a matrix product.

    On GPUs since Ampere, PyTorch lets cuDNN round what float32 convolutions multiply to 11 bits
    (TensorFloat-32), also outside autocast. Matrix products are exact unless a program asks for
    less (``torch.set_float32_matmul_precision``).
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:  # (B, in, H, W) -> (B, out, H, W)
        assert self.bias is not None
        weight = self.weight.flatten(1).expand(x.shape[0], -1, -1)  # matmul would copy x
        return torch.baddbmm(self.bias[:, None], weight, x.flatten(2)).unflatten(2, x.shape[2:])


class WarpNetwork(nn.Module):
    """Three 1x1 convolutions on (x, y, structure code), squashed by tanh (CoordGAN).

    The published form is ``tanh(mlp(grid, w))``; the ``residual`` one ``tanh(mlp(grid, w) +
    atanh(0.9 grid))`` with a small last layer: maps start without folds.
    """

    def __init__(self, *, structure_width: int, hidden: int = 512, residual: bool = False):
        super().__init__()
        self.first = ExactConv1x1(2 + structure_width, hidden)
        self.second = ExactConv1x1(hidden, hidden)
        self.last = ExactConv1x1(hidden, 2)
        self.residual = residual
        if residual:
            with torch.no_grad():
                for parameter in self.last.parameters():
                    parameter.mul_(RESIDUAL_INIT)

    def forward(self, structure_w: Tensor, resolution: int) -> Tensor:
        """Codes (B, structure_width) -> maps (B, 2, resolution, resolution) in (-1, 1)."""
        with torch.autocast(structure_w.device.type, enabled=False):  # coordinates need 24 bits
            return self._warp(structure_w.to(self.first.weight.dtype), resolution)

    def _warp(self, structure_w: Tensor, resolution: int) -> Tensor:
        first = self.first
        grid = canonical_grid(resolution, resolution, structure_w.device, structure_w.dtype)
        # The code is the same at every pixel: its part of the first layer is one vector.
        code = F.linear(structure_w, first.weight[:, 2:, 0, 0], first.bias)  # (B, hidden)
        moved = first.weight[:, :2, 0, 0] @ grid.flatten(1)  # (hidden, H * W)
        x = (moved + code[:, :, None]).unflatten(2, grid.shape[1:])
        x = self.last(self.second(x.relu()).relu())  # (B, 2, H, W)
        if self.residual:
            x = x + torch.atanh(RESIDUAL_SCALE * grid)
        return x.tanh()
