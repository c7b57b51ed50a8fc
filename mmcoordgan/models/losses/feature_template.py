"""The mean image in the frame, seen by deep features: maps are moved to agree with it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .perceptual import PerceptualDistance

GRID = 32
"""Features are compared at so many places per side of the image."""
CELLS = 64
"""The template has so many places per side of the frame."""
DECAY = 0.99


class FeatureTemplate(nn.Module):
    r"""The mean features :math:`T` at each place of the frame, over all images.

    Features are whitened by how they vary at one place, and reduced to the directions in which
    places differ most (linear discriminant analysis). A map :math:`c` is moved by the smooth
    :math:`d` that makes

    .. math::
        s \, G * \lVert f - T(c + d) \rVert^2 + \lVert d \rVert^2 / \sigma^2

    small, by Gauss-Newton steps, where :math:`G` is a Gaussian window (Lucas and Kanade, 1981).
    With a template that is the mean at the moved maps, this aligns images to each other
    (congealing: Learned-Miller, 2006).

    Args:
        channels: Sum of the channels of ``layers``.
        layers: Which feature maps of the perceptual distance to use.
        image_size: Images are resized to this side before.
        dims: Number of directions that are kept.
        strength: :math:`s`.
        spread: :math:`\sigma`, in units of the frame.
        window: Standard deviation of :math:`G`, in 1/32 of the image.
        focus: Where the object is, as in :func:`~.equivariance.map_distance`: directions are
            chosen for what differs there.
    """

    sums: Tensor
    within: Tensor
    projection: Tensor
    places: Tensor

    def __init__(
        self,
        channels: int = 448,
        layers: Sequence[int] = (0, 1, 2),
        image_size: int = 192,
        dims: int = 48,
        strength: float = 0.3,
        spread: float = 0.1,
        window: float = 1.0,
        focus: float = 0.55,
    ):
        super().__init__()
        self.layers = tuple(layers)
        self.image_size = image_size
        self.strength = strength
        self.spread = spread
        self.window = window
        self.focus = focus
        # Features, and ones, summed at the places of the frame.
        self.register_buffer('sums', torch.zeros(channels + 1, CELLS, CELLS))
        self.register_buffer('within', torch.zeros(channels, channels))
        self.register_buffer('projection', torch.zeros(dims, channels))
        self.register_buffer('places', _centers(GRID), persistent=False)

    @torch.no_grad()
    def features(self, perceptual: PerceptualDistance, images: Tensor) -> Tensor:
        """RGB images (B, 3, H, W) in [-1, 1] -> features (B, channels, 32, 32)."""
        images = _resize(images, self.image_size)
        # A third less time on CPUs.
        layers = perceptual.features(images.contiguous(memory_format=torch.channels_last))
        return torch.cat([_resize(layers[index].float(), GRID) for index in self.layers], 1)

    @torch.no_grad()
    def update(self, features: Tensor, coords: Tensor) -> None:
        """Average the features of images with maps (B, 2, H, W), over a hundred calls or so."""
        # Every fourth place is enough.
        features = features[..., ::2, ::2]
        places = self._at_places(coords)[..., ::2, ::2]
        places = places.transpose(0, 1).flatten(2)[None]
        features = features.transpose(0, 1).flatten(2)[None]
        values = torch.cat([features, torch.ones_like(features[:, :1])], 1)
        with torch.enable_grad():  # adding at places is the adjoint of sampling there
            zeros = torch.zeros_like(self.sums).requires_grad_()
            found = _sample(zeros[None], places)
            self.sums.mul_(DECAY).add_(torch.autograd.grad(found, zeros, values)[0])
        rest = (features - _sample(self._mean()[None], places)).flatten(2)[0]
        inside = self._inside(places).flatten()
        within = (rest * inside / inside.sum()) @ rest.t()
        self.within.mul_(DECAY).add_(within, alpha=1 - DECAY)

    @torch.no_grad()
    def fit(self) -> None:
        """Choose the directions, from what was averaged."""
        weight = self.sums[-1] * self._inside(_centers(CELLS).to(self.sums)[None])[0]
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
        template = _blur(torch.einsum('dc,chw->dhw', self.projection, self._mean()), 0.6)
        features = torch.einsum('dc,bchw->bdhw', self.projection, features)
        padded = F.pad(template, (1, 1, 1, 1), mode='replicate')
        along_x = CELLS / 4 * (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2])
        along_y = CELLS / 4 * (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1])
        stack = torch.cat([template, along_x, along_y]).expand(len(coords), -1, -1, -1)
        start = self._at_places(coords)
        move = torch.zeros_like(start)
        for _ in range(4):
            mean, dx, dy = _sample(stack, start + move).chunk(3, 1)
            error = features - mean + dx * move[:, :1] + dy * move[:, 1:]
            terms = [dx * dx, dx * dy, dy * dy, dx * error, dy * error]
            sums = torch.stack([term.sum(1) for term in terms], 1)
            xx, xy, yy, x, y = (self.strength * _blur(sums, self.window)).unbind(1)
            xx, yy = xx + self.spread**-2, yy + self.spread**-2
            step = torch.stack([yy * x - xy * y, xx * y - xy * x], 1) / (xx * yy - xy**2)[:, None]
            move = _blur(step.clamp(-3 * self.spread, 3 * self.spread), 1.0)
        return coords + _resize(move, coords.shape[-1])

    def _mean(self) -> Tensor:
        """(channels, CELLS, CELLS)."""
        return self.sums[:-1] / self.sums[-1:].clamp(min=1e-6)

    def _inside(self, places: Tensor) -> Tensor:
        return (-places.square().sum(1) / self.focus**2).exp()

    def _at_places(self, coords: Tensor) -> Tensor:
        return _sample(coords, self.places.expand(len(coords), -1, -1, -1))


def _centers(side: int) -> Tensor:
    """Centers (2, side, side) of square cells in [-1, 1]^2."""
    centers = (torch.arange(side) + 0.5) * 2 / side - 1
    return torch.stack(torch.meshgrid(centers, centers, indexing='xy'))


def _resize(images: Tensor, side: int) -> Tensor:
    return F.interpolate(images, (side, side), mode='bilinear', antialias=True)


def _sample(values: Tensor, places: Tensor) -> Tensor:
    """Values (B, C, h, w) at places (B, 2, H, W); the outer edges of the border are at +-1."""
    grid = places.permute(0, 2, 3, 1)
    return F.grid_sample(values, grid, padding_mode='border', align_corners=False)


def _blur(values: Tensor, sigma: float) -> Tensor:
    """Convolve the last two dimensions with a Gaussian; edges are mirrored."""
    reach = int(3 * sigma) or 1
    offsets = torch.arange(-reach, reach + 1, device=values.device)
    kernel = (-0.5 * (offsets / sigma) ** 2).exp()
    kernel = (kernel / kernel.sum()).to(values)
    flat = F.pad(values.flatten(0, -3)[:, None], (reach,) * 4, mode='reflect')
    flat = F.conv2d(flat, kernel.view(1, 1, 1, -1))
    return F.conv2d(flat, kernel.view(1, 1, -1, 1)).view(values.shape)
