"""Ready-made entry points."""

from mmcoordgan.io.official import load_official_checkpoint
from mmcoordgan.zoo import list_models

from .checkpoint import TrainedNetworks, load_trained
from .inferencer import CoordGANInferencer

__all__ = [
    'CoordGANInferencer',
    'TrainedNetworks',
    'list_models',
    'load_official_checkpoint',
    'load_trained',
]
