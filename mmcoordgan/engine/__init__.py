"""What plugs into MMEngine's Runner: hooks, the training loop, optimizers, checkpoint files."""

from __future__ import annotations

from .checkpoint_files import AtomicLocalBackend, check_checkpoint_file
from .checkpoint_fit_hook import CheckpointFitHook
from .checkpoint_hook import PlainCheckpointHook
from .history_limit_hook import HistoryLimitHook
from .interruption_hook import InterruptionHook
from .mixed_precision import MixedPrecisionOptimWrapper
from .optim_wrapper_constructor import CoordGANOptimWrapperConstructor
from .prediction_hook import PredictionHook
from .resumable_checkpoint_hook import CheckpointWriteError, ResumableCheckpointHook
from .stored_config_hook import StoredConfigHook
from .train_loop import ResumableTrainLoop
from .transfer_visualization_hook import TransferVisualizationHook
from .visualization_hook import CoordGANVisualizationHook

__all__ = [
    'AtomicLocalBackend',
    'CheckpointFitHook',
    'CheckpointWriteError',
    'CoordGANOptimWrapperConstructor',
    'CoordGANVisualizationHook',
    'HistoryLimitHook',
    'InterruptionHook',
    'MixedPrecisionOptimWrapper',
    'PlainCheckpointHook',
    'PredictionHook',
    'ResumableCheckpointHook',
    'ResumableTrainLoop',
    'StoredConfigHook',
    'TransferVisualizationHook',
    'check_checkpoint_file',
]
