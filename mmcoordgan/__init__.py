"""CoordGAN as a plugin for MMEngine: dense correspondences that emerge without labels."""

from __future__ import annotations

import mmengine
import torch
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.utils import digit_version

from .version import MINIMUM_MMCV, MINIMUM_MMENGINE, MINIMUM_TORCH, __version__

try:
    import mmcv
except ModuleNotFoundError as error:
    raise ImportError(
        f'mmcoordgan needs mmcv >= {MINIMUM_MMCV}. Run: pip install mmcv-lite (pure Python, enough '
        "for mmcoordgan), or install the full 'mmcv' if other MM packages need its compiled "
        'operators. Never install both: they share one folder.'
    ) from error

__all__ = ['__version__']

for _module, _minimum in (
    (torch, MINIMUM_TORCH),
    (mmengine, MINIMUM_MMENGINE),
    (mmcv, MINIMUM_MMCV),
):
    if digit_version(_module.__version__) < digit_version(_minimum):
        raise ImportError(
            f'mmcoordgan needs {_module.__name__} >= {_minimum}, but {_module.__version__} is '
            'installed'
        )

# So that MMEngine finds configs by names such as 'mmcoordgan::coordgan/toyfaces_32.py', and models
# by those of model-index.yml.
MODULE2PACKAGE.setdefault('mmcoordgan', 'mmcoordgan')
