"""Transforms between loading and the model. Images are RGB from the loader to the model."""

from __future__ import annotations

from .jitter import SimilarityJitter
from .pack import META_KEYS, PackInputs
from .spatial import RandomFlip, ResizeWithSoftLabels, resize_labels

__all__ = [
    'META_KEYS',
    'PackInputs',
    'RandomFlip',
    'ResizeWithSoftLabels',
    'SimilarityJitter',
    'resize_labels',
]
