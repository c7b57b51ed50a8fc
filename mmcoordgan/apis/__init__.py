"""Ready-made entry points."""

from mmcoordgan.io.official import load_official_checkpoint

from .inferencer import CoordGANInferencer
from .trained import TrainedNetworks, load_trained

__all__ = ['CoordGANInferencer', 'TrainedNetworks', 'load_official_checkpoint', 'load_trained']
