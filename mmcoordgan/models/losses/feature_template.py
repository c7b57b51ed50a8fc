"""The mean image in the frame, seen by deep features: maps are moved to agree with it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmcoordgan.geometry.template import (
    cell_centers,
    coords_at_cells,
    gaussian_blur,
    move_to_template,
    sample_cells,
)
from mmcoordgan.models.networks.template_encoder import (
    GRID,
    template_features,
    template_images,
)

from .perceptual import PerceptualDistance


class FeatureTemplate(nn.Module):
    r"""The mean features :math:`T` at each place of the frame, over all images.

    Features are whitened by how they vary at one place, and reduced to the directions in which
    places differ most (linear discriminant analysis). Maps are moved towards it by
    :func:`~mmcoordgan.geometry.move_to_template`. With a template that is the mean at the moved
    maps, this aligns images to each other (congealing: Learned-Miller, 2006).

    Args:
        channels: Sum of the channels of ``layers``.
        layers: Which feature maps of the perceptual distance to use.
        image_size: Images are resized to this side before.
        dims: Number of directions that are kept.
        cells: The template has so many places per side of the frame.
        focus: Where the object is, as in :func:`~mmcoordgan.models.losses.map_distance`: directions
            are chosen for what differs there.
        **movement: ``strength``, ``spread``, ``window`` and ``smoothing`` of ``move_to_template``.
    """

    sums: Tensor
    within: Tensor
    projection: Tensor

    def __init__(
        self,
        channels: int = 448,
        layers: Sequence[int] = (0, 1, 2),
        image_size: int = 192,
        dims: int = 48,
        cells: int = 64,
        focus: float = 0.55,
        **movement: float,
    ):
        super().__init__()
        self.layers = tuple(layers)
        self.image_size = image_size
        self.focus = focus
        self.movement = movement
        # Features, and ones, summed at the places of the frame.
        self.register_buffer('sums', torch.zeros(channels + 1, cells, cells))
        self.register_buffer('within', torch.zeros(channels, channels))
        self.register_buffer('projection', torch.zeros(dims, channels))

    @torch.no_grad()
    def features(self, perceptual: PerceptualDistance, images: Tensor) -> Tensor:
        """RGB images (B, 3, H, W) in [-1, 1] -> features (B, channels, 32, 32)."""
        layers = perceptual.features(template_images(images, self.image_size))
        return template_features([layers[index] for index in self.layers])

    @torch.no_grad()
    def update(self, features: Tensor, coords: Tensor, weight: float = 0.01) -> None:
        """Let the features of images with maps (B, 2, H, W) count so much in the averages."""
        # Every fourth place is enough.
        features = features[..., ::2, ::2]
        places = coords_at_cells(coords, GRID)[..., ::2, ::2]
        places = places.transpose(0, 1).flatten(2)[None]
        features = features.transpose(0, 1).flatten(2)[None]
        values = torch.cat([features, torch.ones_like(features[:, :1])], 1)
        with torch.enable_grad():  # adding at places is the adjoint of sampling there
            zeros = torch.zeros_like(self.sums).requires_grad_()
            found = sample_cells(zeros[None], places)
            self.sums.lerp_(torch.autograd.grad(found, zeros, values)[0], weight)
        rest = (features - sample_cells(self._mean()[None], places)).flatten(2)[0]
        inside = self._inside(places).flatten()
        self.within.lerp_((rest * inside / inside.sum()) @ rest.t(), weight)

    @torch.no_grad()
    def fit(self) -> None:
        """Choose the directions, from what was averaged."""
        centers = cell_centers(self.sums.shape[-1], self.sums)
        weight = self.sums[-1] * self._inside(centers[None])[0]
        weight = (weight / weight.sum()).flatten()
        mean = self._mean().flatten(1)
        mean = mean - (mean @ weight)[:, None]
        within = self.within
        total = within + (mean * weight) @ mean.t()
        ridge = 0.05 * within.diagonal().mean() * torch.eye(len(within)).to(within)
        whiten = torch.linalg.inv(torch.linalg.cholesky(within + ridge))
        directions = torch.linalg.eigh(whiten @ total @ whiten.t()).eigenvectors.flip(1)
        self.projection.copy_(directions[:, : len(self.projection)].t() @ whiten)

    @torch.no_grad()
    def moved(self, features: Tensor, coords: Tensor) -> Tensor:
        """Maps (B, 2, H, W) -> maps of the same shape, moved to where the features belong."""
        features = torch.einsum('dc,bchw->bdhw', self.projection, features)
        return move_to_template(features, self.template, coords, **self.movement)

    @property
    def sharp(self) -> Tensor:
        """The mean, reduced: (dims, cells, cells)."""
        return torch.einsum('dc,chw->dhw', self.projection, self._mean())

    @property
    def template(self) -> Tensor:
        """The same, smoothed."""
        return gaussian_blur(self.sharp, 0.6)

    def _mean(self) -> Tensor:
        """(channels, cells, cells)."""
        return self.sums[:-1] / self.sums[-1:].clamp(min=1e-6)

    def _inside(self, places: Tensor) -> Tensor:
        return (-places.square().sum(1) / self.focus**2).exp()
