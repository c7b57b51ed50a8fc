"""How codes are refined, by the config of a checkpoint of unknown origin."""

from __future__ import annotations

import dataclasses
from typing import Any

from mmcoordgan.models.losses import LPIPSLoss, PerceptualDistance, StructureTensorLoss
from mmcoordgan.models.losses.lpips import VGG16_WEIGHTS
from mmcoordgan.models.refinement import Refinement
from mmcoordgan.registry import type_name

from .checkpoint import TrainedNetworks

DEFAULT = Refinement(steps=50, lr=0.05)
MAX_STEPS, MAX_SCALES = 10_000, 16


def choose_refinement(networks: TrainedNetworks, refine: bool | int) -> Refinement | None:
    """What ``refine`` means: False nothing, True as in the config, a number that many steps."""
    if refine is False:
        return None
    chosen = networks.refinement or DEFAULT
    steps = (chosen.steps or DEFAULT.steps) if refine is True else refine
    if steps > MAX_STEPS:
        raise ValueError(f'refinement takes 0..{MAX_STEPS} steps, but got {steps}')
    return dataclasses.replace(chosen, steps=steps) if steps else None


def build_perceptual(networks: TrainedNetworks, vgg_weights: str | None) -> PerceptualDistance:
    """The perceptual distance that the config names: StructureTensorLoss or LPIPSLoss.

    Builds nothing else, and opens no path or address that the file names other than the published
    one of VGG16's weights. ``vgg_weights`` is the user's path or URL of them, for LPIPS.
    """
    config: Any = networks.perceptual if isinstance(networks.perceptual, dict) else {}
    kind = type_name(config.get('type'))
    begin = f'{networks.source} compares images by {kind}'
    if kind == 'StructureTensorLoss':
        if vgg_weights is not None:
            raise ValueError(f'{begin}, without VGG16: drop vgg_weights (--vgg-weights)')
        scales = config.get('num_scales', 3)
        if not isinstance(scales, int) or not 1 <= scales <= MAX_SCALES:
            raise ValueError(f'num_scales of {networks.source} must be 1..16, but is {scales!r}')
        return StructureTensorLoss(num_scales=scales)
    if kind != 'LPIPSLoss':
        raise ValueError(f'{begin}, by which codes cannot be refined')
    named = config.get('vgg_weights', VGG16_WEIGHTS)
    if vgg_weights is None and named != VGG16_WEIGHTS:
        raise ValueError(
            f'{begin} with VGG16 weights from {named!r}, which a checkpoint may not choose: give '
            "vgg_weights (--vgg-weights), the path of torchvision's vgg16-397923af.pth"
        )
    return LPIPSLoss(vgg_weights=vgg_weights or VGG16_WEIGHTS)
