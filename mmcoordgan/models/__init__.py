"""Networks, losses and the models that train them."""

from . import networks

__all__ = ['networks']
