"""What plugs into MMEngine's Runner: hooks, the optimizers' constructor, checkpoint files."""

from __future__ import annotations

from .checkpoint_files import AtomicLocalBackend, check_checkpoint_file
from .checkpoint_hook import PlainCheckpointHook
from .optim_wrapper_constructor import CoordGANOptimWrapperConstructor

__all__ = [
    'AtomicLocalBackend',
    'CoordGANOptimWrapperConstructor',
    'PlainCheckpointHook',
    'check_checkpoint_file',
]
