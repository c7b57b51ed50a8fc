"""Networks, losses and the models that train them."""

from . import losses, networks
from .coordgan import CoordGAN
from .data_preprocessor import GANDataPreprocessor
from .distributed import CoordGANDistributed
from .inversion import CoordGANInversion

__all__ = [
    'CoordGAN',
    'CoordGANDistributed',
    'CoordGANInversion',
    'GANDataPreprocessor',
    'losses',
    'networks',
]
