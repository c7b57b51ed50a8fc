"""The losses of the encoder: errors of images, codes and maps."""

from __future__ import annotations

from torch import Tensor

from mmcoordgan.registry import MODELS

from .base import ScheduledLoss
from .perceptual import PerceptualDistance
from .views import Stage2View


def l1_loss(x: Tensor, target: Tensor) -> Tensor:
    r"""Mean absolute difference :math:`\overline{|x - y|}` of images, codes or maps (CoordGAN).

    Raises:
        ValueError: If the shapes differ, which would be broadcast.
    """
    if x.shape != target.shape:
        raise ValueError(
            f'x and target must have one shape, but got {tuple(x.shape)} and {tuple(target.shape)}'
        )
    return (x - target).abs().mean()


def perceptual_loss(
    perceptual: PerceptualDistance, features: list[Tensor], target_features: list[Tensor]
) -> Tensor:
    """Mean perceptual distance between the features of images and of their targets (CoordGAN)."""
    return perceptual.distance(features, target_features).mean()


@MODELS.register_module()
class L1Loss(ScheduledLoss):
    """:func:`l1_loss` of the encoder's images, codes or maps.

    Arguments: see :class:`ScheduledLoss`. ``on`` is 'reconstruction' (real images and what the
    encoder makes of them), or 'structure_w', 'texture_w' or 'coords' (what the encoder finds in
    synthesized images, and the truth).
    """

    step = 'encoder'
    choices = dict.fromkeys(('reconstruction', 'structure_w', 'texture_w', 'coords'), ())
    implied = {'rec_l1': 'reconstruction'} | {k: k for k in ('structure_w', 'texture_w', 'coords')}

    def forward(self, view: Stage2View) -> Tensor:
        if self.on == 'reconstruction':
            return l1_loss(view.reconstruction, view.real)
        found, truth = (getattr(e, self.on or '') for e in (view.recovered, view.truth))
        if found is None:
            raise ValueError(f'{type(view.encoder).__name__} gives no {self.on} to compare')
        if self.on == 'texture_w' and found.dim() == 3:  # W+: the truth is the same in all layers
            truth = truth[:, None].expand_as(found)
        return l1_loss(found, truth)


@MODELS.register_module()
class PerceptualLoss(ScheduledLoss):
    """:func:`perceptual_loss` between what the encoder makes of real images and the images.

    Arguments: see :class:`ScheduledLoss`. ``on`` is 'reconstruction', or 'swapped': the structure
    with its partner's texture.
    """

    step = 'encoder'
    needs = ('perceptual',)
    choices = dict.fromkeys(('reconstruction', 'swapped'), ())
    implied = {'rec_perceptual': 'reconstruction', 'swap_perceptual': 'swapped'}

    def forward(self, view: Stage2View) -> Tensor:
        images = view.reconstruction if self.on == 'reconstruction' else view.swapped
        return perceptual_loss(view.perceptual, view.perceptual.features(images), view.features)
