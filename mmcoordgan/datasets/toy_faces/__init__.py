"""ToyFaces: procedural faces with labels and exact canonical coordinates."""

from .dataset import ToyFaces

__all__ = ['ToyFaces']
