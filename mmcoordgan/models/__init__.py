"""Networks, losses and the models that train them."""

from . import losses, networks
from .coordgan import CoordGAN
from .distributed import CoordGANDistributed

__all__ = ['CoordGAN', 'CoordGANDistributed', 'losses', 'networks']
