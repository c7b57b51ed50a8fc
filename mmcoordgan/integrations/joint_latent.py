"""CoordGAN's generator as GANs with a single latent vector call it, such as MMagic's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mmcoordgan.models.networks import CoordGANGenerator
from mmcoordgan.registry import MODELS


@MODELS.register_module()
class JointLatentGenerator(CoordGANGenerator):
    """:class:`CoordGANGenerator` behind one latent vector: structure first, texture behind it.

    It is called as MMagic's generators are, so that MMagic's GANs can train it, StyleGAN2 with
    its path length regularization among them. Arguments, weights and the other methods are those
    of :class:`CoordGANGenerator`; their checkpoints fit each other.
    """

    @property
    def noise_size(self) -> int:
        """Length of the latent vector: ``structure_dim + texture_dim``."""
        return self.structure_dim + self.texture_dim

    style_channels = noise_size  # by the name that MMagic's StyleGAN2 looks for

    def forward(  # type: ignore[override]
        self,
        noise: Tensor | None = None,
        num_batches: int = 0,
        return_noise: bool = False,
        return_latents: bool = False,
    ) -> Any:
        """Latents (B, noise_size), or ``num_batches`` random ones, -> RGB images (B, 3, S, S).

        With ``return_noise`` or ``return_latents``, a dict of them as ``fake_img``, the latents as
        ``noise_batch`` and the codes w of structure and texture, which all layers share, as
        ``latent`` (B, 1, structure_width + texture_width).
        """
        if noise is None:
            device = next(self.parameters()).device
            noise = torch.randn(num_batches, self.noise_size, device=device)
        structure_z, texture_z = noise.split([self.structure_dim, self.texture_dim], dim=1)
        codes = torch.cat([self.map_structure(structure_z), self.map_texture(texture_z)], dim=1)
        codes = codes[:, None]  # (B, 1, width)
        # Images come from the joint code, so that they have a gradient with respect to it.
        widths = [self.structure_width, self.texture_width]
        structure_w, texture_w = codes[:, 0].split(widths, dim=1)
        images = self.synthesize(self.warp(structure_w), texture_w)
        if return_noise or return_latents:
            return dict(fake_img=images, noise_batch=noise, latent=codes)
        return images
