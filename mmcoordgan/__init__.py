"""CoordGAN as a plugin for MMEngine: dense correspondences that emerge without labels."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from .version import MINIMUM_MMCV, MINIMUM_MMENGINE, MINIMUM_TORCH, __version__

__all__ = ['__version__']


def _require(module_name: str, minimum: str, install: str) -> ModuleType:
    """Import a dependency, or explain what to install when it is missing or too old."""
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        raise ImportError(
            f'mmcoordgan needs {module_name} >= {minimum}, which is not installed. {install}'
        ) from error

    def release(version: str) -> list[int]:
        digits = version.split('+')[0].split('.')[:3]
        return [int(''.join(c for c in part if c.isdigit()) or 0) for part in digits]

    if release(module.__version__) < release(minimum):
        raise ImportError(
            f'mmcoordgan needs {module_name} >= {minimum}, but {module.__version__} is installed. '
            f'{install}'
        )
    return module


_require('torch', MINIMUM_TORCH, 'Run: pip install torch')
_require('mmengine', MINIMUM_MMENGINE, 'Run: pip install -U mmengine')
_require(
    'mmcv',
    MINIMUM_MMCV,
    "Run: pip install mmcv-lite (pure Python, enough for mmcoordgan), or install the full 'mmcv' "
    'if other MM packages need its compiled operators. Never install both: they share one folder.',
)

# So that MMEngine finds configs by names such as 'mmcoordgan::coordgan/toyfaces_32.py', and models
# by those of model-index.yml.
import_module('mmengine.config.utils').MODULE2PACKAGE.setdefault('mmcoordgan', 'mmcoordgan')
