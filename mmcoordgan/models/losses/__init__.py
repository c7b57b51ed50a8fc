"""Loss terms, each a pure function and a thin registered module; perceptual distances."""

from .adversarial import LogisticLoss, NonsaturatingLoss, logistic_loss, nonsaturating_loss
from .base import LossTerms, ScheduledLoss
from .chamfer import ChamferLoss, chamfer_loss
from .equivariance import EquivarianceLoss, map_distance, photometric_noise
from .lpips import LPIPSLoss
from .perceptual import PerceptualDistance
from .r1 import R1Loss, r1_penalty
from .reconstruction import L1Loss, PerceptualLoss, l1_loss, perceptual_loss
from .structure_tensor import StructureTensorLoss, structure_tensor
from .texture_swap import TextureSwapLoss, texture_swap_loss
from .views import DetachedFakes, Fakes, Stage1View, Stage2View
from .warp import WarpLoss, warp_loss, warp_partners

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
    'chamfer_loss',
    'l1_loss',
    'logistic_loss',
    'map_distance',
    'nonsaturating_loss',
    'perceptual_loss',
    'photometric_noise',
    'r1_penalty',
    'structure_tensor',
    'texture_swap_loss',
    'warp_loss',
    'warp_partners',
]
