"""A dense encoder that compares each image with the mean of all, seen by deep features."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmcoordgan.geometry import mean_of_sides, move_to_template, resize_map
from mmcoordgan.models.images import resize_square
from mmcoordgan.registry import MODELS

from .dense_encoder import DenseEncoder
from .imagenet_features import ImageNetFeatures
from .protocols import Encoding

CHANNELS = 16 + 24 + 40
SCALE = 127.5 / 128
"""EfficientNet-Lite0 sees (pixel - 127) / 128, pixels from 0 to 255."""
GRID = 32
"""Features are compared at so many places per side of the image."""


def template_features(layers: list[Tensor]) -> Tensor:
    """Feature maps of a trunk (B, C_k, H_k, W_k) -> (B, sum of C_k, 32, 32), float32."""
    units = (F.normalize(layer.float(), eps=1e-10) for layer in layers)
    return torch.cat([resize_square(layer, GRID) for layer in units], 1)


def template_images(images: Tensor, side: int) -> Tensor:
    """Images of the side at which features are computed; a third less time on CPUs."""
    return resize_square(images, side).contiguous(memory_format=torch.channels_last)


@MODELS.register_module()
class TemplateEncoder(DenseEncoder):
    """:class:`DenseEncoder`, whose maps are moved to where the image looks like a template.

    The bundled ``faces_64`` has one. ``publish_model.py`` makes it of a dense encoder and of images
    without labels. It is not trained itself. See :func:`~mmcoordgan.geometry.move_to_template`. Its
    features are those of EfficientNet-Lite0, down to an eighth of the size, whose weights are in
    this encoder's file.

    Args:
        cells: The template has so many places per side of the frame.
        dims: Its number of features.
        feature_size: Side at which the features see the image; give it images that are as fine.
        map_size: Side of the maps. They are smooth; thin labels stay whole on finer ones than the
            U-Net's, which are the default.
        mirror: Objects are symmetric: begin with the mean of the maps of the image and its mirror
            image.
        strength, spread, window, smoothing, focus: Of
            :func:`~mmcoordgan.geometry.move_to_template`.
        **settings: See :class:`DenseEncoder`.
    """

    projection: Tensor
    template: Tensor

    def __init__(
        self,
        *,
        cells: int = 64,
        dims: int = 44,
        feature_size: int = 192,
        map_size: int | None = None,
        mirror: bool = False,
        strength: float = 0.4,
        spread: float = 0.12,
        window: float = 0.85,
        smoothing: float = 1 / 24,
        focus: float = 1.0,
        **settings: Any,
    ):
        super().__init__(**settings)
        self.input_size = max(self.input_size, feature_size)
        self.feature_size = feature_size
        self.map_size = map_size or self._side
        self.mirror = mirror
        self.movement = dict(
            strength=strength, spread=spread, window=window, smoothing=smoothing, focus=focus
        )
        self.trunk = ImageNetFeatures('lite0')
        for layer in self.trunk.modules():  # weights of this encoder's file
            layer._non_persistent_buffers_set.clear()
        self.register_buffer('projection', torch.zeros(dims, CHANNELS))
        self.register_buffer('template', torch.zeros(dims, cells, cells))

    def unmoved(self, images: Tensor) -> Encoding:
        """What the U-Net alone finds, in a tenth of the time."""
        return super().forward(images)

    def features(self, images: Tensor) -> Tensor:
        """RGB images (B, 3, H, W) in [-1, 1] -> features (B, 80, 32, 32)."""
        images = template_images(images, self.feature_size)
        return template_features(self.trunk(images * SCALE))

    def start(self, images: Tensor) -> Encoding:
        """What the U-Net finds: the maps that are moved."""
        seen = resize_square(images, self._side)
        encoding = self.unmoved(seen)
        if not self.mirror:
            return encoding
        mirrored = self.unmoved(seen.flip(-1)).coords
        assert encoding.coords is not None and mirrored is not None
        return encoding._replace(coords=mean_of_sides(encoding.coords, mirrored))

    def forward(self, images: Tensor) -> Encoding:
        """As :class:`DenseEncoder`; the maps have no gradient."""
        encoding = self.start(images)
        assert encoding.coords is not None
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            coords = self.moved(self.features(images), encoding.coords.float())
        return encoding._replace(coords=coords)

    def moved(self, features: Tensor, coords: Tensor) -> Tensor:
        """Maps (B, 2, h, w) -> maps of ``map_size``, moved to where the features belong."""
        features = torch.einsum('dc,bchw->bdhw', self.projection, features)
        coords = resize_map(coords, (self.map_size, self.map_size))
        return move_to_template(features, self.template, coords, **self.movement)
