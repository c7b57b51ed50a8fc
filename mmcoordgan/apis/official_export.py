"""Checkpoints of MMEngine into the reference implementation's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from .official_architecture import ArchitectureError
from .official_checkpoint import NETWORKS, OfficialCheckpoint
from .official_conversion import (
    LEFTOVERS,
    OPTIMIZERS,
    STAGE1_PARTS,
    STAGE2_PARTS,
    Conversion,
    our_parameters,
    parameters,
    without_frozen,
)
from .official_layout import FROM_RGB_LAYERS, LAYOUTS
from .official_names import official_names
from .official_optimizer import NoMatch, adam_to_official
from .plain_config import published_form_problems

KEYS = ('g', 'e', 'd', 'g_ema', 'd_patch', 'g_optim', 'd_optim')
"""In the reference's order."""


def mm_to_official(checkpoint: Mapping[str, Any], source: str) -> Conversion:
    """Turn a checkpoint of :class:`CoordGAN` or :class:`CoordGANInversion` into the reference's.

    Args:
        checkpoint: What MMEngine wrote, or :func:`official_to_mm`; or a bare state dict.
        source: Name of the file, for messages.

    Raises:
        ValueError: If it holds no such model, or one that the reference cannot express.
    """
    state = checkpoint.get('state_dict', checkpoint)
    parts = _parts(state)
    if 'generator' not in parts:
        raise ValueError(f'{source} is no checkpoint of CoordGAN: it holds no generator.* weights')
    second = 'encoder' in parts
    meta = checkpoint.get('meta') or {}
    notes: list[str] = []
    text = meta.get('cfg')
    problems = published_form_problems(text) if isinstance(text, str) else None
    if problems is None:
        notes.append(
            'the config is not known: settings that leave no trace in the weights are taken as '
            'published'
        )
    official, own = _infer_official(parts, second, source, problems or [], notes)
    content: dict[str, Any] = dict(official.content)
    leftovers = checkpoint.get(LEFTOVERS, {})
    provenance = meta.get('official', {})
    orders = provenance.get('optimizer_orders', {})
    content.update(
        _optimizers_to_official(checkpoint.get('optimizer'), official, own, orders, notes)
    )
    content.update(leftovers)
    keys = provenance.get('keys') or KEYS
    return Conversion({key: content[key] for key in keys if key in content}, notes)


def _parts(state: Mapping[str, Any]) -> dict[str, dict[str, Tensor]]:
    """The tensors of our networks, by network."""
    parts: dict[str, dict[str, Tensor]] = {}
    known = {network.part for network in NETWORKS.values()}
    for name, tensor in state.items():
        part, _, rest = str(name).partition('.')
        if part in known:
            parts.setdefault(part, {})[rest] = tensor
    return parts


def _infer_official(
    parts: dict[str, dict[str, Tensor]],
    second: bool,
    source: str,
    problems: list[str],
    notes: list[str],
) -> tuple[OfficialCheckpoint, dict[str, dict[str, Any]]]:
    """The networks in the reference's names, and the arguments that ours were built with."""
    table = STAGE2_PARTS if second else STAGE1_PARTS
    arguments: dict[str, dict[str, Any]] = {}
    try:
        for part in (part for part in table if part in parts):
            shapes = {name: tuple(tensor.shape) for name, tensor in parts[part].items()}
            for key in table[part] if second else table[part][:1]:
                arguments[key] = NETWORKS[key].infer(shapes)
    except ArchitectureError as error:
        raise ValueError('; '.join([f'{source}: {error}', *problems])) from None
    problems = problems + _inexpressible(arguments)
    base = arguments['g']['base_resolution']
    own = {key: dict(value) for key, value in arguments.items()}
    if 'd' in arguments and not problems:
        sizes = tuple(base << k for k in range(FROM_RGB_LAYERS))
        arguments['d']['input_sizes'] = sizes
        parts['discriminator'] = _with_from_rgb(parts['discriminator'], arguments['d'], notes)
    content = {}
    if not problems:
        owners = {
            key: part for part in table for key in (table[part] if second else table[part][:1])
        }
        for key in arguments:
            content[key] = dict(
                _official_tensors(key, arguments[key], base, parts[owners[key]], problems)
            )
    if problems:
        raise ValueError(f'{source} cannot be expressed by the reference: {"; ".join(problems)}')
    return OfficialCheckpoint(source, content, arguments, base), own


def _inexpressible(arguments: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What our networks can be that the reference's cannot, as far as tensors show it."""
    problems, generator = [], arguments['g']
    base, kernel = generator['base_resolution'], generator['kernel_size']
    if kernel != 3:
        problems.append(f'kernel_size of the generator is {kernel}, not 3')
    if 'e' in arguments:
        codes = 2 * generator['image_size'].bit_length() - 4
        if arguments['e']['num_texture_codes'] != codes:
            problems.append(
                f'num_texture_codes of the encoder is {arguments["e"]["num_texture_codes"]}, not '
                f'{codes} (W+)'
            )
        if arguments['e']['input_size'] != base:
            problems.append(
                f'input_size of the encoder is {arguments["e"]["input_size"]}, but the levels of '
                f'the generator stand for a base resolution of {base}'
            )
    if 'd' in arguments:
        sizes = [base << k for k in range(FROM_RGB_LAYERS)]
        if not set(arguments['d']['input_sizes']) <= set(sizes):
            problems.append(
                f'input_sizes of the discriminator are {arguments["d"]["input_sizes"]}, but the '
                f'reference knows {sizes}, given the levels of the generator'
            )
    return problems


def _with_from_rgb(
    state: Mapping[str, Tensor], arguments: Mapping[str, Any], notes: list[str]
) -> dict[str, Tensor]:
    """Add the from-RGB layers that the reference has and our training did not need, untrained."""
    state = dict(state)
    source = torch.Generator().manual_seed(0)
    for side in arguments['input_sizes']:
        if f'from_rgb.{side}.weight' in state:
            continue
        width = min(arguments['channels'], arguments['channel_base'] // side)
        state[f'from_rgb.{side}.weight'] = torch.randn(width, 3, 1, 1, generator=source)
        state[f'from_rgb.{side}.bias'] = torch.zeros(width)
        notes.append(f'the from-RGB layer of d for pictures of side {side} is new and untrained')
    return state


def _official_tensors(
    key: str,
    arguments: Mapping[str, Any],
    base: int,
    state: Mapping[str, Tensor],
    problems: list[str],
) -> Iterator[tuple[str, Tensor]]:
    """One network's tensors, filters included, in the reference's names, shapes and order."""
    layout = LAYOUTS[key](**arguments)
    size = arguments.get('image_size', base)
    names = official_names(key, list(layout), base_resolution=base, image_size=size)
    part = NETWORKS[key].part
    left = set(state) - set(names.values())
    problems.extend(f'{part}.{name} has no counterpart' for name in sorted(left))
    for name, wanted in layout.items():
        if isinstance(wanted, Tensor):
            yield name, wanted.clone()
            continue
        tensor = state.get(names[name])
        if tensor is None:
            problems.append(f'{part}.{names[name]} is missing')
        elif tensor.numel() != torch.Size(wanted).numel():
            problems.append(
                f'{part}.{names[name]} has shape {tuple(tensor.shape)}, needed is {wanted}'
            )
        else:
            yield name, tensor.reshape(wanted)


def _optimizers_to_official(
    optimizer: Any,
    official: OfficialCheckpoint,
    own: Mapping[str, Mapping[str, Any]],
    orders: Mapping[str, list[str]],
    notes: list[str],
) -> dict[str, Any]:
    """The reference's optimizer states."""
    if optimizer is None:
        return {}
    second = 'e' in official.arguments
    found = {}
    for key, (name, choices) in OPTIMIZERS[second].items():
        state = optimizer if second else optimizer.get(name)
        order = tuple(orders.get(key, () if second else choices[0]))
        try:
            if not order:
                raise NoMatch('in which order the reference lists its parameters is not known')
            if not set(order) <= set(official.arguments):
                raise NoMatch(f'the checkpoint lacks {" or ".join(order)}')
            ours = our_parameters(own, name)
            candidates = [ours, without_frozen(ours)]
            found[key] = adam_to_official(state, parameters(official, order), candidates)
        except NoMatch as error:
            notes.append(f'the optimizer state of the {name} is dropped: {error}')
    return found
