"""What is taken from MMagic, where it is installed."""

from __future__ import annotations

import importlib
from typing import Any


def from_mmagic(module: str, name: str, *, user: str, instead: str) -> Any:
    """``name`` out of ``mmagic.<module>``.

    Args:
        module: Without the leading 'mmagic.'.
        name: Of a class or function in it.
        user: What needs it, for the error.
        instead: What to do without MMagic, for the error.

    Raises:
        ImportError: If MMagic cannot be imported.
    """
    try:
        return getattr(importlib.import_module(f'mmagic.{module}'), name)
    except ImportError as error:
        raise ImportError(
            f'{user} needs MMagic, whose import fails ({error}): see "With MMagic" in the README, '
            f'or {instead}'
        ) from error
