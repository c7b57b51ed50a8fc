"""What plugs into MMEngine's Runner: hooks, the optimizers' constructor, checkpoint files."""

from __future__ import annotations

from .checkpoint_files import AtomicLocalBackend, check_checkpoint_file
from .checkpoint_fit_hook import CheckpointFitHook
from .checkpoint_hook import PlainCheckpointHook
from .optim_wrapper_constructor import CoordGANOptimWrapperConstructor
from .prediction_hook import PredictionHook
from .transfer_visualization_hook import TransferVisualizationHook
from .visualization_hook import CoordGANVisualizationHook

__all__ = [
    'AtomicLocalBackend',
    'CheckpointFitHook',
    'CoordGANOptimWrapperConstructor',
    'CoordGANVisualizationHook',
    'PlainCheckpointHook',
    'PredictionHook',
    'TransferVisualizationHook',
    'check_checkpoint_file',
]
