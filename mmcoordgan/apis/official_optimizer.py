"""Adam's state, carried between the reference's optimizers and ours.

An optimizer's state names parameters by their position: in the reference, in the order in which
the networks' parameters follow each other in their state dicts; here, in the order of our networks'
parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

Shape = tuple[int, ...]


class NoMatch(ValueError):
    """An optimizer state that does not map one to one; says why."""


class Parameter(NamedTuple):
    """One parameter that both sides know."""

    name: str
    """Ours, from the model on, such as ``generator.stem.bias``."""
    official_shape: Shape
    shape: Shape


def adam_to_mm(
    state: Any, orders: Sequence[Sequence[Parameter]], candidates: Sequence[Sequence[str]]
) -> tuple[dict[str, Any], int]:
    """Turn the state of one of the reference's optimizers into ours.

    Args:
        state: The state dict of the reference's Adam.
        orders: The parameters that it may hold, in the orders in which it may hold them; the first
            one that fits in number and shapes is taken.
        candidates: Names of the parameters of our optimizer, in its order; several lists where
            some parameters may be frozen. The first list is taken that has all with a state.

    Returns:
        The state dict of our Adam, and the position of the order that fits.

    Raises:
        NoMatch: If none fits.
    """
    group, moments = _single_group(state)
    for choice, order in enumerate(orders):
        if len(order) != len(group['params']):
            continue
        places = dict(zip(group['params'], order))
        found = {places[key].name: (places[key], value) for key, value in moments.items()}
        ours = next((names for names in candidates if set(found) <= set(names)), None)
        if ours is not None and all(
            shape == parameter.official_shape
            for parameter, value in found.values()
            for shape in _shapes(value)
        ):
            mine = {
                k: _reshaped(found[name][1], found[name][0].shape)
                for k, name in enumerate(ours)
                if name in found
            }
            return _state_dict(mine, group, len(ours)), choice
    counts = ' or '.join(sorted({str(len(order)) for order in orders}))
    raise NoMatch(
        f'it holds {len(group["params"])} parameters, which do not match the {counts} of the '
        'networks in number and shapes'
    )


def adam_to_official(
    state: Any, order: Sequence[Parameter], candidates: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """Turn the state of one of our optimizers into the reference's.

    Args:
        state: The state dict of our Adam.
        order: The parameters of the reference's optimizer, in its order.
        candidates: Names of the parameters of our optimizer, in its order; several lists where
            some parameters may be frozen. The one with as many is taken.

    Raises:
        NoMatch: If it holds other parameters.
    """
    group, moments = _single_group(state)
    count = len(group['params'])
    ours = next((names for names in candidates if len(names) == count), ())
    if not ours:
        counts = ' or '.join(str(len(names)) for names in candidates)
        raise NoMatch(f'it holds {count} parameters, where {counts} are expected')
    found = dict(zip(ours, (moments.get(key) for key in group['params'])))
    theirs = {}
    for k, parameter in enumerate(order):
        value = found.get(parameter.name)
        if value is None:
            continue
        if any(shape != parameter.shape for shape in _shapes(value)):
            raise NoMatch(f'its state of {parameter.name} has another shape')
        theirs[k] = _reshaped(value, parameter.official_shape)
    return _state_dict(theirs, group, len(order))


def _single_group(state: Any) -> tuple[dict[str, Any], dict[int, Any]]:
    if not isinstance(state, Mapping) or not {'state', 'param_groups'} <= set(state):
        raise NoMatch('it is no state of an optimizer')
    groups, moments = state['param_groups'], state['state']
    if len(groups) != 1:
        raise NoMatch(f'it has {len(groups)} groups of parameters, where one is expected')
    known = {'step', 'exp_avg', 'exp_avg_sq'}
    if any(not known >= set(value) for value in moments.values()):
        raise NoMatch('it is no state of Adam')
    return groups[0], moments


def _shapes(value: Mapping[str, Any]) -> list[Shape]:
    """The shapes of a parameter's moments."""
    return [tuple(value[name].shape) for name in ('exp_avg', 'exp_avg_sq') if name in value]


def _reshaped(value: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    return {
        name: moment.reshape(shape) if name != 'step' and isinstance(moment, Tensor) else moment
        for name, moment in value.items()
    }


def _state_dict(moments: dict[int, Any], group: dict[str, Any], count: int) -> dict[str, Any]:
    return {'state': moments, 'param_groups': [{**group, 'params': list(range(count))}]}
