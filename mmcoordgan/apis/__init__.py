"""Ready-made entry points."""

from .inferencer import CoordGANInferencer
from .official_checkpoint import load_official_checkpoint
from .trained import TrainedNetworks, load_trained

__all__ = ['CoordGANInferencer', 'TrainedNetworks', 'load_official_checkpoint', 'load_trained']
