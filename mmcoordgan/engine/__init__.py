"""What plugs into MMEngine's Runner: hooks, the optimizers' constructor, checkpoint files."""

from __future__ import annotations

from .checkpoint_files import AtomicLocalBackend, check_checkpoint_file
from .checkpoint_fit_hook import CheckpointFitHook
from .checkpoint_hook import PlainCheckpointHook
from .history_limit_hook import HistoryLimitHook
from .optim_wrapper_constructor import CoordGANOptimWrapperConstructor
from .prediction_hook import PredictionHook
from .stored_config_hook import StoredConfigHook
from .transfer_visualization_hook import TransferVisualizationHook
from .visualization_hook import CoordGANVisualizationHook

__all__ = [
    'AtomicLocalBackend',
    'CheckpointFitHook',
    'CoordGANOptimWrapperConstructor',
    'CoordGANVisualizationHook',
    'HistoryLimitHook',
    'PlainCheckpointHook',
    'PredictionHook',
    'StoredConfigHook',
    'TransferVisualizationHook',
    'check_checkpoint_file',
]
