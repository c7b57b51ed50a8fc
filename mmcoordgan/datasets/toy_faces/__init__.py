"""ToyFaces: procedural faces with labels and exact canonical coordinates."""

from __future__ import annotations

from .dataset import ToyFaces

__all__ = ['ToyFaces']
