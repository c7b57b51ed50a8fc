"""Mapping networks: from normal latent codes to the codes that the generator uses."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .layers import EqualizedLinear


class MappingNetwork(nn.Module):
    """Pixel norm, then equalized linear layers with activation (CoordGAN): z -> w.

    ``lr_multiplier`` is a factor on the learning rate of the layers.
    """

    def __init__(
        self, latent_dim: int, code_dim: int, *, num_layers: int = 8, lr_multiplier: float = 0.01
    ):
        super().__init__()
        dims = [latent_dim] + [code_dim] * num_layers
        self.layers = nn.ModuleList(
            EqualizedLinear(a, b, lr_multiplier=lr_multiplier, activation=True)
            for a, b in zip(dims, dims[1:])
        )

    def forward(self, z: Tensor) -> Tensor:  # (B, latent_dim) -> (B, code_dim)
        with torch.autocast(z.device.type, enabled=False):  # casts cost more than they save
            w = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
            for layer in self.layers:
                w = layer(w)
        return w
