"""Transforms between loading and the model. Images are RGB from the loader to the model."""

from __future__ import annotations

from .jitter import SimilarityJitter
from .pack import PackInputs
from .spatial import RandomFlip, ResizeWithSoftLabels, resize_labels

__all__ = ['PackInputs', 'RandomFlip', 'ResizeWithSoftLabels', 'SimilarityJitter', 'resize_labels']
