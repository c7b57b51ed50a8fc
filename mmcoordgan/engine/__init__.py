"""What plugs into MMEngine's Runner: hooks, the training loop, optimizers."""

from __future__ import annotations

from mmcoordgan.io.files import AtomicLocalBackend, check_checkpoint_file

from .hooks.checkpoint import CoordGANCheckpointHook
from .hooks.interruption import InterruptionHook
from .hooks.logger import CoordGANLoggerHook
from .hooks.prediction import PredictionHook
from .hooks.visualization import CoordGANVisualizationHook, TransferVisualizationHook
from .loop import ResumableTrainLoop
from .optim import CoordGANOptimWrapperConstructor, MixedPrecisionOptimWrapper
from .schedulers import CosineAnnealingWarmRestarts, CyclicLR

__all__ = [
    'AtomicLocalBackend',
    'CoordGANCheckpointHook',
    'CoordGANLoggerHook',
    'CoordGANOptimWrapperConstructor',
    'CoordGANVisualizationHook',
    'CosineAnnealingWarmRestarts',
    'CyclicLR',
    'InterruptionHook',
    'MixedPrecisionOptimWrapper',
    'PredictionHook',
    'ResumableTrainLoop',
    'TransferVisualizationHook',
    'check_checkpoint_file',
]
