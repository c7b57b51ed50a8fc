"""What plugs into MMEngine's Runner: hooks, the training loop, optimizers."""

from __future__ import annotations

from mmcoordgan.zoo import load_from_package

from .hooks.checkpoint import CoordGANCheckpointHook
from .hooks.interruption import InterruptionHook
from .hooks.prediction import PredictionHook
from .hooks.visualization import CoordGANVisualizationHook, TransferVisualizationHook
from .loop import ResumableTrainLoop
from .optim import CoordGANOptimWrapperConstructor, MixedPrecisionOptimWrapper

__all__ = [
    'CoordGANCheckpointHook',
    'CoordGANOptimWrapperConstructor',
    'CoordGANVisualizationHook',
    'InterruptionHook',
    'MixedPrecisionOptimWrapper',
    'PredictionHook',
    'ResumableTrainLoop',
    'TransferVisualizationHook',
    'load_from_package',
]
