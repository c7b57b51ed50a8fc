"""Registries of this package: children of MMEngine's root registries, scope ``mmcoordgan``.

Every registry imports the package that fills it on first use, so configs with
``default_scope='mmcoordgan'`` use bare names (``type='CoordGAN'``) and any other MM config uses
``type='mmcoordgan.CoordGANGenerator'`` without ``custom_imports``.
"""

from __future__ import annotations

from typing import Any

from mmengine import registry as root
from mmengine.registry import Registry
from torch import nn


def type_name(kind: Any) -> str:
    """The bare name of a config's ``type``: of a text with or without a scope, or of a class."""
    return str(getattr(kind, '__name__', kind)).rpartition('.')[2].strip("'>")


def _child(parent: Registry, *locations: str) -> Registry:
    return Registry(parent.name, parent=parent, scope='mmcoordgan', locations=list(locations))


DATASETS = _child(root.DATASETS, 'mmcoordgan.datasets')
DATA_SAMPLERS = _child(root.DATA_SAMPLERS, 'mmcoordgan.datasets')
HOOKS = _child(root.HOOKS, 'mmcoordgan.engine')
INFERENCERS = _child(root.INFERENCERS, 'mmcoordgan.apis')
LOOPS = _child(root.LOOPS, 'mmcoordgan.engine')
METRICS = _child(root.METRICS, 'mmcoordgan.evaluation')
MODELS = _child(root.MODELS, 'mmcoordgan.models', 'mmcoordgan.integrations.joint_latent')
MODEL_WRAPPERS = _child(root.MODEL_WRAPPERS, 'mmcoordgan.models')
OPTIM_WRAPPERS = _child(root.OPTIM_WRAPPERS, 'mmcoordgan.engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(root.OPTIM_WRAPPER_CONSTRUCTORS, 'mmcoordgan.engine')
# mmcv registers its transforms in MMEngine's root registry when it is imported.
TRANSFORMS = _child(
    root.TRANSFORMS, 'mmcoordgan.datasets', 'mmcoordgan.integrations.mmagic', 'mmcv.transforms'
)
VISBACKENDS = _child(root.VISBACKENDS, 'mmcoordgan.engine')

# The package adds nothing to these, but MMEngine warns about each registry that a scope lacks.
for _parent in [value for value in vars(root).values() if isinstance(value, Registry)]:
    if 'mmcoordgan' not in _parent.children:
        _child(_parent, 'mmcoordgan')


def build_module(part: dict | nn.Module | None) -> Any:
    """A module from its config; modules and None pass."""
    return MODELS.build(part) if isinstance(part, dict) else part
