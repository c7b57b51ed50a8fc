"""The command line of :class:`~mmcoordgan.apis.CoordGANInferencer`; ``tools/infer.py`` calls it."""

from .main import run

__all__ = ['run']
