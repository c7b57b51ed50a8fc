"""What plugs into MMEngine's Runner: hooks, the optimizers' constructor, checkpoint files."""

from __future__ import annotations

from .checkpoint_files import AtomicLocalBackend, check_checkpoint_file
from .checkpoint_hook import PlainCheckpointHook
from .optim_wrapper_constructor import CoordGANOptimWrapperConstructor
from .visualization_hook import CoordGANVisualizationHook

__all__ = [
    'AtomicLocalBackend',
    'CoordGANOptimWrapperConstructor',
    'CoordGANVisualizationHook',
    'PlainCheckpointHook',
    'check_checkpoint_file',
]
