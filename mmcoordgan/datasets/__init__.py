"""Data sets and their transforms. Images are RGB throughout."""

from __future__ import annotations

from .image_folder import ImageFolder
from .loading import BrokenImageError, LoadImage
from .toy_faces import ToyFaces
from .transforms import PackInputs, RandomFlip

__all__ = [
    'BrokenImageError',
    'ImageFolder',
    'LoadImage',
    'PackInputs',
    'RandomFlip',
    'ToyFaces',
]
