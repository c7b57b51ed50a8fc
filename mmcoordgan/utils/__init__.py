"""What MMEngine's hub and OpenMMLab's tools look for."""

from __future__ import annotations

from importlib import import_module

from mmengine.registry import DefaultScope
from mmengine.utils.dl_utils import collect_env as collect_base_env

from mmcoordgan.version import __version__


def register_all_modules(init_default_scope: bool = True) -> None:
    """Register all components; ``init_default_scope`` sets their scope if no default is set."""
    for name in ('apis', 'datasets', 'engine', 'evaluation', 'models', 'visualization'):
        import_module(f'mmcoordgan.{name}')
    if init_default_scope and DefaultScope.get_current_instance() is None:
        DefaultScope.get_instance('mmcoordgan', scope_name='mmcoordgan')


def collect_env() -> dict:
    """Versions of the system, Python, PyTorch, MMEngine and this package."""
    return {**collect_base_env(), 'mmcoordgan': __version__}
