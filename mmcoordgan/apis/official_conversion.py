"""Checkpoints of the reference implementation into MMEngine's.

A file with an encoder ('e') becomes a checkpoint of :class:`CoordGANInversion`, any other one of
:class:`CoordGAN`. Stage 2 renders with the averaged generator of stage 1, as it was trained to:
where the file holds both, ``generator`` is its 'g_ema', whatever 'g' is. What the model has no
place for ('g' where it differs, entries that are no networks) is kept beside the weights under
``official_leftovers``, for the way back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .official_checkpoint import NETWORKS, OfficialCheckpoint, blank_network
from .official_optimizer import NoMatch, Parameter, adam_to_mm

LEFTOVERS = 'official_leftovers'
STAGE1_PARTS = {
    'generator': ('g', 'g_ema'),
    'generator_ema': ('g_ema', 'g'),
    'discriminator': ('d',),
    'patch_discriminator': ('d_patch',),
}
STAGE2_PARTS = {'generator': ('g_ema', 'g'), 'encoder': ('e',)}
"""Our networks, and the reference's keys that each comes from, the first that is there."""
OPTIMIZERS: dict[bool, dict[str, tuple[str, tuple[tuple[str, ...], ...]]]] = {
    False: {
        'g_optim': ('generator', (('g',),)),
        'd_optim': ('discriminator', (('d', 'd_patch'), ('d_patch', 'd'))),
    },
    True: {'g_optim': ('encoder', (('e',), ('g', 'e'), ('e', 'g')))},
}
"""By stage (is it the second?): the reference's optimizers, ours, and orders of their networks."""
TRAINED = {
    'generator': ('generator',),
    'discriminator': ('discriminator', 'patch_discriminator'),
    'encoder': ('encoder',),
}

FROZEN = ('structure_mapping', 'warp_net')
"""Modules of the generator that are not trained where pictures are larger than the map."""


class Conversion(NamedTuple):
    """A converted checkpoint."""

    checkpoint: dict[str, Any]
    notes: list[str]
    """What the user should know: what was filled in, kept aside or dropped."""


def model_config(official: OfficialCheckpoint) -> dict[str, Any]:
    """The networks of a model config, without losses: those that the file holds."""
    arguments = official.arguments
    second = 'e' in arguments
    config: dict[str, Any] = dict(type='CoordGANInversion' if second else 'CoordGAN')
    for part, keys in (STAGE2_PARTS if second else STAGE1_PARTS).items():
        key = next((key for key in keys if key in arguments), None)
        if key is not None and part != 'generator_ema':
            config[part] = dict(type=NETWORKS[key].build.__name__, **arguments[key])
    return config


def official_to_mm(official: OfficialCheckpoint, iteration: int | None = None) -> Conversion:
    """Turn a checkpoint of the reference into one of MMEngine.

    The tensors are those of ``official``, memory-mapped where it is; nothing is copied.

    Args:
        official: The checkpoint.
        iteration: Iterations that it was trained for, where schedules go on. Default: the number
            of steps of the generator's (stage 2: the encoder's) optimizer, or 0.

    Raises:
        ValueError: If it holds no generator.
    """
    if not {'g', 'g_ema'} & set(official.arguments):
        raise ValueError(f'{official.source} holds no generator (g or g_ema)')
    second = 'e' in official.arguments
    state: dict[str, Tensor] = {}
    notes, used = [], set()
    for part, keys in (STAGE2_PARTS if second else STAGE1_PARTS).items():
        key = next((key for key in keys if key in official.arguments), None)
        if key is None:
            notes.append(f'{keys[0]} is not there: the checkpoint has no {part}')
            continue
        if key != keys[0]:
            notes.append(f'{keys[0]} is not there: {part} is taken from {key}')
        used.add(key)
        target = blank_network(key, official.arguments[key]).state_dict()
        tensors = official.state_dict(key, target)
        state.update({f'{part}.{name}': tensor for name, tensor in tensors.items()})
    optimizers, orders = _optimizers_to_mm(official, second, notes)
    if iteration is None:
        iteration = _steps(optimizers.get('encoder' if second else 'generator'))
    state['iteration'] = torch.tensor(iteration)
    model = model_config(official)
    if 'generator' in optimizers:
        everything = len(our_parameters(official.arguments, 'generator'))
        listed = len(optimizers['generator']['param_groups'][0]['params'])
        model['frozen'] = list(FROZEN) if listed < everything else []
    checkpoint: dict[str, Any] = {
        'meta': {
            'epoch': 0,
            'iter': iteration,
            'official': {
                'source': official.source,
                'keys': list(official.content),
                'optimizer_orders': orders,
                'model': model,
            },
        },
        'state_dict': state,
        'message_hub': {'log_scalars': {}, 'runtime_info': {}, 'resumed_keys': {}},
    }
    if optimizers:
        checkpoint['optimizer'] = optimizers['encoder'] if second else optimizers
    leftovers = _leftovers(official, used, second, notes)
    if leftovers:
        checkpoint[LEFTOVERS] = leftovers
    return Conversion(checkpoint, notes)


def _leftovers(
    official: OfficialCheckpoint, used: set[str], second: bool, notes: list[str]
) -> dict[str, Any]:
    """Entries of the file that the model has no place for."""
    content, kept = official.content, {}
    for key, value in content.items():
        if key in used or key in OPTIMIZERS[second]:
            continue
        if key == 'g' and _same(value, content['g_ema']):
            continue
        if _is_plain(value):
            kept[key] = value
            reason = ': it differs from g_ema, which stage 2 renders with' if key == 'g' else ''
            notes.append(f'{key} has no place in the model and is kept aside{reason}')
        else:
            notes.append(f'{key} is dropped: it holds more than tensors and plain values')
    return kept


def _optimizers_to_mm(
    official: OfficialCheckpoint, second: bool, notes: list[str]
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Our optimizers' states, and in which order the reference's held their networks."""
    found: dict[str, Any] = {}
    orders: dict[str, list[str]] = {}
    for key, (name, choices) in OPTIMIZERS[second].items():
        if key not in official.content:
            continue
        possible = [order for order in choices if set(order) <= set(official.arguments)]
        ours = our_parameters(official.arguments, name)
        candidates = [without_frozen(ours), ours] if _may_be_frozen(official, key) else [ours]
        try:
            if not possible:
                raise NoMatch(f'the file lacks {" or ".join(choices[0])}')
            found[name], choice = adam_to_mm(
                official.content[key],
                [parameters(official, order) for order in possible],
                candidates,
            )
        except NoMatch as error:
            notes.append(f'the optimizer state {key} is dropped: {error}')
            continue
        orders[key] = list(possible[choice])
    wanted = {name for name, _ in OPTIMIZERS[second].values()}
    if found and set(found) != wanted:
        notes.append(
            f'the optimizer state of the {" and ".join(found)} is dropped: training goes on with '
            f'those of {" and ".join(sorted(wanted))} together'
        )
        return {}, {}
    return found, orders


def parameters(official: OfficialCheckpoint, keys: tuple[str, ...]) -> list[Parameter]:
    """Parameters of some networks, in the reference's order."""
    found = []
    for key in keys:
        shapes = dict(blank_network(key, official.arguments[key]).named_parameters())
        layout = official.layout(key)
        for theirs, ours in official.names(key).items():
            name = f'{NETWORKS[key].part}.{ours}'
            found.append(Parameter(name, tuple(layout[theirs]), tuple(shapes[ours].shape)))
    return found


def our_parameters(arguments: Mapping[str, Mapping[str, Any]], optimizer: str) -> list[str]:
    """Names of the parameters of one of our optimizers, in its order."""
    parts = {NETWORKS[key].part: key for key in arguments}
    return [
        f'{part}.{name}'
        for part in TRAINED[optimizer]
        if part in parts
        for name, _ in blank_network(parts[part], arguments[parts[part]]).named_parameters()
    ]


def without_frozen(names: list[str]) -> list[str]:
    """The parameters of the generator's optimizer where pictures are larger than the map."""
    return [name for name in names if not name.startswith(tuple(f'generator.{f}.' for f in FROZEN))]


def _may_be_frozen(official: OfficialCheckpoint, key: str) -> bool:
    arguments = official.arguments.get('g', {})
    larger = arguments.get('image_size', 0) > official.base_resolution
    return key == 'g_optim' and 'e' not in official.arguments and larger


def _steps(state: Mapping[str, Any] | None) -> int:
    """The largest number of steps in a state of Adam."""
    values = state['state'].values() if state else ()
    return max((int(value.get('step', 0)) for value in values), default=0)


def _same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def _is_plain(value: Any) -> bool:
    """Whether ``torch.load(weights_only=True)`` reads a value."""
    if isinstance(value, Mapping):
        return type(value).__module__ in ('builtins', 'collections') and all(
            _is_plain(part) for pair in value.items() for part in pair
        )
    if type(value) in (list, tuple):
        return all(_is_plain(part) for part in value)
    return type(value) in (Tensor, torch.nn.Parameter, int, float, bool, str, type(None))
