"""How codes are refined, by the config of a checkpoint of unknown origin."""

from __future__ import annotations

import dataclasses
from typing import Any

from mmcoordgan.models.losses import LPIPSLoss, PerceptualDistance, StructureTensorLoss
from mmcoordgan.models.losses.lpips import VGG16_WEIGHTS
from mmcoordgan.models.refinement import Refinement

from .checkpoint import TrainedNetworks, type_name

DEFAULT = Refinement(steps=50, lr=0.05)
MAX_STEPS, MAX_SCALES = 10_000, 16


def choose_refinement(networks: TrainedNetworks, refine: bool | int) -> Refinement | None:
    """What ``refine`` means: False nothing, True as in the config, a number that many steps.

    Raises:
        ValueError: If there are fewer than 0 or more than 10,000 steps.
    """
    if refine is False:
        return None
    chosen = networks.refinement or DEFAULT
    if refine is True:
        chosen = chosen if chosen.steps else dataclasses.replace(chosen, steps=DEFAULT.steps)
    else:
        chosen = dataclasses.replace(chosen, steps=refine)
    if not isinstance(chosen.steps, int) or not 0 <= chosen.steps <= MAX_STEPS:
        raise ValueError(f'refinement takes 0..{MAX_STEPS} steps, but got {chosen.steps}')
    return chosen if chosen.steps else None


def build_perceptual(networks: TrainedNetworks, vgg_weights: str | None) -> PerceptualDistance:
    """The perceptual distance that the config names: StructureTensorLoss or LPIPSLoss.

    Builds nothing else, and opens no path or address that the file names other than the published
    one of VGG16's weights. ``vgg_weights`` is the user's path or URL of them, for LPIPS.

    Raises:
        ValueError: The config names something else, LPIPS lacks its weights, or the other loss is
            given some.
        FileNotFoundError: VGG16's weights are missing, or cannot be downloaded.
    """
    config: Any = networks.perceptual if isinstance(networks.perceptual, dict) else {}
    kind = type_name(config.get('type'))
    if kind == 'StructureTensorLoss':
        if vgg_weights is not None:
            raise ValueError(
                f'{networks.source} compares images by StructureTensorLoss, without VGG16: drop '
                'vgg_weights (--vgg-weights)'
            )
        scales = config.get('num_scales', 3)
        if not isinstance(scales, int) or not 1 <= scales <= MAX_SCALES:
            raise ValueError(f'num_scales of {networks.source} must be 1..16, but is {scales!r}')
        return StructureTensorLoss(num_scales=scales)
    if kind == 'LPIPSLoss':
        named = config.get('vgg_weights', VGG16_WEIGHTS)
        if vgg_weights is None and named != VGG16_WEIGHTS:
            raise ValueError(
                f'{networks.source} compares images by LPIPS with VGG16 weights from {named!r}, '
                'which a checkpoint may not choose: give vgg_weights (--vgg-weights), the path of '
                "torchvision's vgg16-397923af.pth"
            )
        return LPIPSLoss(vgg_weights=vgg_weights or VGG16_WEIGHTS)
    raise ValueError(
        f'{networks.source} compares images by {kind}, which is neither StructureTensorLoss nor '
        'LPIPSLoss: its codes cannot be refined'
    )
