"""Values that load with ``torch.load(weights_only=True)``."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

_PLAIN = (bool, int, float, str, bytes, type(None), torch.dtype, torch.device, torch.Size)
_TENSORS = (torch.Tensor, torch.nn.Parameter)
_HISTORY_KEYS = {'log_history', 'count_history', 'max_length'}


def to_plain(value: Any, place: str = 'value') -> Any:
    """Convert ``value`` to tensors, plain containers and plain Python values.

    Tensors are not copied. NumPy arrays become tensors (arrays of text: lists), NumPy scalars
    Python scalars, paths text, sets lists, and histories of logged values dicts of tensors.
    Subclasses of dict, list and tuple become plain ones.

    Raises:
        TypeError: ``value`` holds something else; the message names its place, within ``place``.
    """
    if type(value) in (*_PLAIN, *_TENSORS):
        return value
    if isinstance(value, (str, PurePath)):
        return str(value)
    if isinstance(value, np.generic) and not isinstance(value.item(), np.generic):
        return to_plain(value.item(), place)
    if isinstance(value, np.ndarray):
        try:
            return torch.from_numpy(np.array(value, order='C'))
        except (TypeError, ValueError):  # text, objects, types that torch does not know
            return to_plain(value.tolist(), place)
    if isinstance(value, HistoryBuffer):
        log, counts = value.data
        history = dict(log_history=log, count_history=counts, max_length=int(value.max_length))
        return to_plain(history, place)
    if isinstance(value, Mapping):
        return {
            to_plain(k, f'the key {k!r} of {place}'): to_plain(item, f'{place}[{k!r}]')
            for k, item in value.items()
        }
    if isinstance(value, (tuple, list, deque, set, frozenset)):
        items = (to_plain(item, f'{place}[{i}]') for i, item in enumerate(value))
        return tuple(items) if isinstance(value, tuple) else list(items)
    raise TypeError(
        f'{place} is a {type(value).__module__}.{type(value).__qualname__}, which cannot be stored '
        'in a checkpoint as plain data. Keep it out of the checkpoint (for the message hub: '
        'resumed=False), or turn it into tensors, numbers or text first.'
    )


def to_history(value: Any) -> Any:
    """Restore a history that :func:`to_plain` converted; return anything else unchanged."""
    if not isinstance(value, dict) or set(value) != _HISTORY_KEYS:
        return value
    return HistoryBuffer(
        np.asarray(torch.as_tensor(value['log_history']).cpu()),
        np.asarray(torch.as_tensor(value['count_history']).cpu()),
        value['max_length'],
    )
