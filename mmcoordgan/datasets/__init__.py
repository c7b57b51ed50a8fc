"""Data sets and their transforms. Images are RGB throughout."""

from __future__ import annotations

from .base import ConcatDataset
from .celebamask_hq import CelebAMaskHQ
from .datasetgan import DatasetGANSegmentation
from .image_folder import ImageFolder
from .labelled_folder import LabelledFolder
from .loading import BrokenImageError, LoadImage
from .samplers import ReferenceSampler, ResumableSampler, SeededDataset
from .swap_seeds import SwapSeeds
from .toy_faces import ToyFaces
from .transforms import PackInputs, RandomFlip, ResizeWithSoftLabels, SimilarityJitter

__all__ = [
    'BrokenImageError',
    'CelebAMaskHQ',
    'ConcatDataset',
    'DatasetGANSegmentation',
    'ImageFolder',
    'LabelledFolder',
    'LoadImage',
    'PackInputs',
    'RandomFlip',
    'ReferenceSampler',
    'ResizeWithSoftLabels',
    'ResumableSampler',
    'SeededDataset',
    'SimilarityJitter',
    'SwapSeeds',
    'ToyFaces',
]
