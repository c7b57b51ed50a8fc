"""A dense encoder that compares each image with the mean of all, seen by deep features."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmcoordgan.geometry import mean_of_sides, move_to_template
from mmcoordgan.models.images import resize_square
from mmcoordgan.registry import MODELS

from .dense_encoder import DenseEncoder
from .imagenet_features import ImageNetFeatures, tapped
from .protocols import Encoding

TRUNK = 8
"""Layers of SqueezeNet, of which three are tapped."""
CHANNELS = 64 + 128 + 256
GRID = 32
"""Features are compared at so many places per side of the image."""


def template_features(layers: list[Tensor]) -> Tensor:
    """Feature maps of a trunk (B, C_k, H_k, W_k) -> (B, sum of C_k, 32, 32), float32."""
    return torch.cat([resize_square(_unit(layer), GRID) for layer in layers], 1)


def _unit(layer: Tensor) -> Tensor:
    return F.normalize(layer.float(), eps=1e-10)


def template_images(images: Tensor, side: int) -> Tensor:
    """Images of the side at which features are computed; a third less time on CPUs."""
    return resize_square(images, side).contiguous(memory_format=torch.channels_last)


@MODELS.register_module()
class TemplateEncoder(DenseEncoder):
    """:class:`DenseEncoder`, whose maps are moved to where the image looks like a template.

    ``publish_model.py`` makes it of a dense encoder and of what
    :class:`~mmcoordgan.models.losses.EquivarianceLoss` has learned with ``template``. It is not
    trained itself. See :func:`~mmcoordgan.geometry.move_to_template`.

    Args:
        cells: The template has so many places per side of the frame.
        dims: Its number of features.
        feature_size: Side at which SqueezeNet sees the image; give it images that are as fine.
        map_size: Side of the maps. They are smooth; thin labels stay whole on finer ones than the
            U-Net's, which are the default.
        mirror: Objects are symmetric: begin with the mean of the maps of the image and its mirror
            image.
        strength, spread, window: See :func:`~mmcoordgan.geometry.move_to_template`.
        **settings: See :class:`DenseEncoder`.
    """

    projection: Tensor
    template: Tensor
    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        *,
        cells: int = 48,
        dims: int = 40,
        feature_size: int = 192,
        map_size: int | None = None,
        mirror: bool = False,
        strength: float = 0.1,
        spread: float = 0.06,
        window: float = 0.7,
        **settings: Any,
    ):
        super().__init__(**settings)
        self.input_size = max(self.input_size, feature_size)
        self.feature_size = feature_size
        self.map_size = map_size or self._side
        self.mirror = mirror
        self.movement = dict(strength=strength, spread=spread, window=window)
        network = ImageNetFeatures('squeeze')
        self.taps = [tap for tap in network.taps if tap < TRUNK]
        self.trunk = nn.ModuleList(list(network.features)[:TRUNK])
        for layer in self.trunk.modules():  # weights of this encoder's file
            layer._non_persistent_buffers_set.clear()
        self.register_buffer('shift', torch.zeros(3, 1, 1))
        self.register_buffer('scale', torch.ones(3, 1, 1))
        self.register_buffer('projection', torch.zeros(dims, CHANNELS))
        self.register_buffer('template', torch.zeros(dims, cells, cells))

    def unmoved(self, images: Tensor) -> Encoding:
        """What the U-Net alone finds, in a tenth of the time."""
        return super().forward(images)

    def forward(self, images: Tensor) -> Encoding:
        """As :class:`DenseEncoder`; the maps have no gradient."""
        seen = resize_square(images, self._side)
        encoding = self.unmoved(seen)
        coords = encoding.coords
        assert coords is not None
        if self.mirror:
            mirrored = self.unmoved(seen.flip(-1)).coords
            assert mirrored is not None
            coords = mean_of_sides(coords, mirrored)
        x = (template_images(images, self.feature_size) - self.shift) / self.scale
        layers = tapped(self.trunk, self.taps, x)
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            # Few directions are resized in place of many channels: both are linear.
            parts = self.projection.split([layer.shape[1] for layer in layers], 1)
            reduced = [torch.einsum('dc,bchw->bdhw', p, _unit(x)) for p, x in zip(parts, layers)]
            features = torch.stack([resize_square(x, GRID) for x in reduced]).sum(0)
            size = (self.map_size, self.map_size)
            coords = F.interpolate(coords.float(), size, mode='bilinear', align_corners=True)
            coords = move_to_template(features, self.template, coords, **self.movement)
        return encoding._replace(coords=coords)
