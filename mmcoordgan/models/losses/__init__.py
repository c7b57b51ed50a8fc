"""Loss terms, each a pure function and a thin registered module; perceptual distances."""

from .base import LossTerms, ScheduledLoss
from .equivariance import EquivarianceLoss, photometric_noise
from .functional import (
    l1_loss,
    logistic_loss,
    map_distance,
    nonsaturating_loss,
    r1_penalty,
    warp_loss,
    warp_partners,
)
from .lpips import LPIPSLoss
from .perceptual import PerceptualDistance, StructureTensorLoss, structure_tensor
from .terms import (
    ChamferLoss,
    L1Loss,
    LogisticLoss,
    NonsaturatingLoss,
    PerceptualLoss,
    R1Loss,
    TextureSwapLoss,
    WarpLoss,
)
from .views import DetachedFakes, Fakes, Stage1View, Stage2View

__all__ = [
    'ChamferLoss',
    'DetachedFakes',
    'EquivarianceLoss',
    'Fakes',
    'L1Loss',
    'LPIPSLoss',
    'LogisticLoss',
    'LossTerms',
    'NonsaturatingLoss',
    'PerceptualDistance',
    'PerceptualLoss',
    'R1Loss',
    'ScheduledLoss',
    'Stage1View',
    'Stage2View',
    'StructureTensorLoss',
    'TextureSwapLoss',
    'WarpLoss',
    'l1_loss',
    'logistic_loss',
    'map_distance',
    'nonsaturating_loss',
    'photometric_noise',
    'r1_penalty',
    'structure_tensor',
    'warp_loss',
    'warp_partners',
]
