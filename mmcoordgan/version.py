"""The package's version, and the versions of its dependencies that it is known to work with."""

__version__ = '0.1.0'

MINIMUM_TORCH = '2.1.0'
MINIMUM_MMENGINE = '0.10.0'
MINIMUM_MMCV = '2.0.0'
