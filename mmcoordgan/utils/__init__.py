"""What MMEngine's hub and OpenMMLab's tools look for."""

from __future__ import annotations

from importlib import import_module

from mmengine.registry import DefaultScope
from mmengine.runner import CheckpointLoader
from mmengine.utils.dl_utils import collect_env as collect_base_env

from mmcoordgan.io.files import load_checkpoint
from mmcoordgan.version import __version__
from mmcoordgan.zoo import model_path

MODULES = ('apis', 'datasets', 'engine', 'evaluation', 'models', 'visualization')
SCHEME = 'mmcoordgan://'
"""``mmcoordgan://<name>`` is the checkpoint of a bundled model."""


def register_all_modules(init_default_scope: bool = True) -> None:
    """Register every component of this package.

    Args:
        init_default_scope: Make 'mmcoordgan' MMEngine's default scope, if there is none.
    """
    for name in MODULES:
        import_module(f'mmcoordgan.{name}')
    if init_default_scope and DefaultScope.get_current_instance() is None:
        DefaultScope.get_instance('mmcoordgan', scope_name='mmcoordgan')


def collect_env() -> dict:
    """Versions of the system, Python, PyTorch, MMEngine and this package."""
    return {**collect_base_env(), 'mmcoordgan': __version__}


@CheckpointLoader.register_scheme(prefixes=SCHEME, force=True)
def load_from_package(filename: str, map_location: object = None, **_: object) -> dict:
    """The checkpoint of a bundled model, for MMEngine's ``load_checkpoint``.

    Raises:
        FileNotFoundError: There is no model of this name.
    """
    path = model_path(filename[len(SCHEME) :])
    if path is None:
        raise FileNotFoundError(f'there is no bundled model {filename}')
    return load_checkpoint(path)
