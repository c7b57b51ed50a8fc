"""Values that load with ``torch.load(weights_only=True)``."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

_PLAIN = (bool, int, float, str, bytes, type(None), torch.dtype, torch.device, torch.Size)
_TENSORS = (torch.Tensor, torch.nn.Parameter)
_CONTAINERS: tuple = ((tuple, tuple), ((list, deque, set, frozenset), list))
_HISTORY_KEYS = {'log_history', 'count_history', 'max_length'}


def to_plain(value: Any, place: str = 'value') -> Any:
    """Convert ``value`` to tensors, plain containers and plain Python values.

    Tensors are not copied. NumPy arrays become tensors (arrays of text become lists), NumPy scalars
    Python scalars, paths text, sets lists, and histories of logged values dicts of tensors.
    Subclasses of dict, list and tuple become plain ones, except that an ``OrderedDict`` stays one
    and keeps its attributes, among them the ``_metadata`` of a state dict.

    Args:
        value: What to convert.
        place: The name of ``value`` in the error message.

    Raises:
        TypeError: ``value`` holds something else; the message names its place.
    """
    if type(value) in _PLAIN or type(value) in _TENSORS:
        return value
    if isinstance(value, (str, PurePath)):
        return str(value)
    if isinstance(value, np.generic):
        return _scalar_to_plain(value, place)
    if isinstance(value, np.ndarray):
        return _array_to_plain(value, place)
    if isinstance(value, HistoryBuffer):
        return _from_history(value, place)
    if isinstance(value, Mapping):
        return _mapping_to_plain(value, place)
    for kinds, plain_kind in _CONTAINERS:
        if isinstance(value, kinds):
            return plain_kind(to_plain(v, f'{place}[{i}]') for i, v in enumerate(value))
    raise TypeError(
        f'{place} is a {type(value).__module__}.{type(value).__qualname__}, which cannot be stored '
        'in a checkpoint as plain data. Keep it out of the checkpoint (for the message hub: '
        'resumed=False), or turn it into tensors, numbers or text first.'
    )


def _scalar_to_plain(value: np.generic, place: str) -> Any:
    item = value.item()
    if isinstance(item, np.generic):  # such as longdouble, which Python has no type for
        raise TypeError(f'{place} is a {type(value).__name__}, which no Python number can hold')
    return to_plain(item, place)


def _array_to_plain(value: np.ndarray, place: str) -> Any:
    try:
        return torch.from_numpy(np.array(value, order='C'))
    except (TypeError, ValueError):  # text, objects, other byte order, kinds torch does not know
        return to_plain(value.tolist(), place)


def _mapping_to_plain(value: Mapping, place: str) -> dict:
    pairs = (
        (to_plain(key, f'the key {key!r} of {place}'), to_plain(item, f'{place}[{key!r}]'))
        for key, item in value.items()
    )
    if not isinstance(value, OrderedDict):
        return dict(pairs)
    plain = OrderedDict(pairs)
    for name, attribute in vars(value).items():
        setattr(plain, name, to_plain(attribute, f'{place}.{name}'))
    return plain


def _from_history(history: HistoryBuffer, place: str) -> dict:
    values, counts = history.data
    return {
        'log_history': _array_to_plain(values, f'{place}.log_history'),
        'count_history': _array_to_plain(counts, f'{place}.count_history'),
        'max_length': int(history.max_length),
    }


def to_history(value: Any) -> Any:
    """Turn the dict that :func:`to_plain` made of a history back; return anything else as it is."""
    if not isinstance(value, dict) or set(value) != _HISTORY_KEYS:
        return value
    return HistoryBuffer(
        np.asarray(torch.as_tensor(value['log_history']).cpu()),
        np.asarray(torch.as_tensor(value['count_history']).cpu()),
        value['max_length'],
    )
