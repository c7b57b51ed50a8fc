"""Ready-made entry points."""

from .official_checkpoint import load_official_checkpoint

__all__ = ['load_official_checkpoint']
