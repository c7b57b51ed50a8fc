"""Loss terms: a pure function and a thin registered module each."""

from .adversarial import LogisticLoss, NonsaturatingLoss, logistic_loss, nonsaturating_loss
from .chamfer import ChamferLoss, chamfer_loss
from .lpips import LPIPSLoss
from .perceptual import PerceptualDistance
from .r1 import R1Loss, r1_penalty
from .reconstruction import L1Loss, PerceptualLoss, l1_loss, perceptual_loss
from .schedule import ScheduledLoss
from .structure_tensor import StructureTensorLoss, structure_tensor
from .texture_swap import TextureSwapLoss, texture_swap_loss
from .warp import WarpLoss, warp_loss, warp_partners

__all__ = [
    'ChamferLoss',
    'L1Loss',
    'LPIPSLoss',
    'LogisticLoss',
    'NonsaturatingLoss',
    'PerceptualDistance',
    'PerceptualLoss',
    'R1Loss',
    'ScheduledLoss',
    'StructureTensorLoss',
    'TextureSwapLoss',
    'WarpLoss',
    'chamfer_loss',
    'l1_loss',
    'logistic_loss',
    'nonsaturating_loss',
    'perceptual_loss',
    'r1_penalty',
    'structure_tensor',
    'texture_swap_loss',
    'warp_loss',
    'warp_partners',
]
