"""Which arguments a component takes, as far as its signature tells."""

from __future__ import annotations

import inspect
from typing import Any, Callable

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def _named(function: Callable) -> tuple[set[str], bool]:
    """Names that ``function`` takes, and whether it takes any further ``**kwargs``."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some built-in callables have no signature
        return set(), False
    names = {p.name for p in parameters if p.kind in _NAMED and p.name != 'self'}
    return names, any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)


def accepted_parameters(component: Any) -> set[str]:
    """Names of the arguments that a class or a function takes.

    A constructor with ``**kwargs`` is taken to hand them to its base class, whose names are added,
    and so on up to the first constructor without ``**kwargs``. Names that are only read out of
    ``**kwargs`` in a function's body cannot be seen.

    Args:
        component: A class or another callable.
    """
    if not inspect.isclass(component):
        return _named(component)[0]
    names: set[str] = set()
    for cls in component.__mro__[:-1]:  # the last one is ``object``
        if '__init__' not in vars(cls):
            continue
        own, open_ended = _named(vars(cls)['__init__'])
        names |= own
        if not open_ended:
            break
    return names


def default_of(component: Any, name: str) -> Any:
    """Default value of an argument of ``component``, or None where it has none."""
    parameter = inspect.signature(component).parameters.get(name)
    if parameter is None or parameter.default is inspect.Parameter.empty:
        return None
    return parameter.default
