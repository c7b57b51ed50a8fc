"""Networks, losses and the models that train them."""

from . import losses, networks
from .coordgan import CoordGAN
from .distributed import CoordGANDistributed
from .inversion import CoordGANInversion

__all__ = ['CoordGAN', 'CoordGANDistributed', 'CoordGANInversion', 'losses', 'networks']
