"""Checkpoints of the reference implementation (NVlabs/CoordGAN): networks in and out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmcoordgan.models.networks import (
    CoordGANDiscriminator,
    CoordGANEncoder,
    CoordGANGenerator,
    CoordGANPatchDiscriminator,
)
from mmcoordgan.models.networks.filters import blur_kernel
from mmcoordgan.models.pretrained import misfits

from .files import load_checkpoint
from .official_names import (
    FROM_RGB_LAYERS,
    Arguments,
    official_names,
    official_shape,
    read_arguments,
)

TRUST = 'If you trust its author, use trust=True (on the command line: --trust)'

Tensors = dict[str, Tensor]
States = Mapping[str, Mapping[str, Any]]

NETWORKS: dict[str, tuple[str, type[nn.Module]]] = {
    'g': ('generator', CoordGANGenerator),
    'g_ema': ('generator_ema', CoordGANGenerator),
    'e': ('encoder', CoordGANEncoder),
    'd': ('discriminator', CoordGANDiscriminator),
    'd_patch': ('patch_discriminator', CoordGANPatchDiscriminator),
}
"""The reference's keys -> our names and classes."""


def load_official_checkpoint(path: str | Path, trust: bool = False) -> dict[str, nn.Module]:
    """Load the networks of a checkpoint of the reference implementation, of stage 1 or 2.

    Args:
        path: A file with the keys 'g', 'd', 'g_ema' and 'd_patch' (stage 1) or 'g', 'e' and 'g_ema'
            (stage 2), or some of them. Other keys are ignored.
        trust: Also read files that hold more than tensors and plain values, which run any code.

    Returns:
        ``generator``, ``generator_ema``, ``encoder``, ``discriminator``, ``patch_discriminator``:
        those that the file holds, in evaluation mode, on the CPU.

    Raises:
        ValueError: The file is unsafe, damaged or no checkpoint of the reference, or a tensor is
            missing, left over or misshapen, or a filter differs (lists them by name).
    """
    return from_official(read_checkpoint_file(path, trust), str(path))


def read_checkpoint_file(path: str | Path, trust: bool = False) -> dict[str, Any]:
    """Read a checkpoint; arguments and errors as for ``load_official_checkpoint``."""
    content = load_checkpoint(path, trust, TRUST)
    if not isinstance(content, dict):
        raise ValueError(f'checkpoint {path} holds no dict, but {type(content).__name__}')
    return content


def from_official(content: States, source: str) -> dict[str, nn.Module]:
    """Build networks from the reference's state dicts; see ``load_official_checkpoint``."""
    arguments = official_arguments(content, source)
    _check(content, {key: _expected(key, arguments[key], source) for key in arguments}, source)
    networks = {}
    for key, sizes in arguments.items():
        part, build = NETWORKS[key]
        with torch.random.fork_rng(devices=[]):  # initial weights are replaced
            network = build(**sizes)
        target = network.state_dict()
        names = official_names(key, target, sizes.get('input_sizes', (0,))[0])
        state = {n: content[key][name].reshape(target[n].shape) for name, n in names.items()}
        network.load_state_dict(state, strict=True)
        networks[part] = network.requires_grad_(key != 'g_ema').eval()
    return networks


def to_official(states: States, source: str) -> dict[str, Tensors]:
    """Turn networks into the reference's keys and state dicts, with its filters.

    ``states`` are state dicts by our names of the networks; a ``generator`` among them. A
    discriminator of fewer image sizes than the reference's gets untrained from-RGB layers.
    ValueError lists tensors that are missing, left over or misshapen; it begins with ``source``.
    """
    if 'generator' not in states:
        raise ValueError(f'{source} is no checkpoint of CoordGAN: it holds no generator.* weights')
    content: dict[str, Tensors] = {}
    left: list[str] = []
    base = 0
    for key, (part, _) in NETWORKS.items():
        if part not in states:
            continue
        tensors = {n: value for n, value in states[part].items() if isinstance(value, Tensor)}
        names = official_names(key, tensors, base)
        left += [f'{part}.{name}' for name in states[part] if name not in {*names.values()}]
        content[key] = {
            name: tensors[ours].reshape(official_shape(name, tensors[ours].shape))
            for name, ours in names.items()
        }
        base = base or official_arguments(content, source)['g']['base_resolution']
    if left:
        raise ValueError(f'{source}: the reference has no place for {", ".join(left)}')
    arguments = official_arguments(content, source)
    if arguments['g']['kernel_size'] != 3:
        raise ValueError(f"{source}: the reference's kernel_size is 3, the generator's is another")
    expected = {key: _expected(key, arguments[key], source) for key in arguments}
    for key, tensors in expected.items():
        content[key].update({n: t for n, t in tensors.items() if n.endswith('.kernel')})
    if 'd' in content:
        _add_from_rgb(content['d'], expected['d'])
    _check(content, expected, source)
    return content


def official_arguments(content: States, source: str) -> dict[str, Arguments]:
    """Read the arguments of our networks' constructors, by the reference's keys."""
    found: dict[str, Arguments] = {}
    base = 0  # side of the correspondence map
    for key in NETWORKS:
        if key not in content:
            continue
        state = content[key]
        if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
            raise ValueError(f'{source}: {key} is no state dict')
        try:
            sizes = found[key] = read_arguments(key, state, base)
        except ValueError as error:
            raise ValueError(f'{source}: {key}.{error}') from None
        base = base or sizes.get('base_resolution') or sizes.get('input_size', 0)
    if not found:
        raise ValueError(
            f'{source} is no checkpoint of the reference implementation, or is converted already: '
            f'it has none of the keys {", ".join(NETWORKS)}, but {list(content)[:10]}'
        )
    return found


def _expected(key: str, arguments: Arguments, source: str) -> Tensors:
    """Every tensor that the reference stores for a network: filters, and others without values."""
    try:
        with torch.random.fork_rng(devices=[]), torch.device('meta'):  # takes no memory
            network = NETWORKS[key][1](**arguments)
    except (ValueError, RuntimeError, ArithmeticError) as error:
        raise ValueError(f'{source}: no network has the sizes of {key}: {error}') from None
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    names = official_names(key, tensors, arguments.get('input_sizes', (0,))[0])
    expected: Tensors = {}
    for name, ours in names.items():
        shape = official_shape(name, tensors[ours].shape)
        expected[name] = torch.empty(shape, device='meta')
        if name.endswith('.kernel'):
            gain = 4.0 if key in ('g', 'g_ema') else 1.0  # generators filter what is upsampled
            expected[name] = blur_kernel({3: (1, 2, 1), 4: (1, 3, 3, 1)}[shape[0]], gain)
        elif 'ConvLayerDownBy' in name:  # filters of one tap, which our encoder leaves out
            expected[f'{name.rpartition(".")[0].rpartition(".")[0]}.Blur.kernel'] = torch.ones(1, 1)
    return expected


def _check(content: States, expected: Mapping[str, Tensors], source: str) -> None:
    """Raise unless networks have exactly the tensors that the reference stores."""
    found, wanted = (
        {f'{key}.{name}': value for key in expected for name, value in states[key].items()}
        for states in (content, expected)
    )
    if problems := misfits(wanted, found):
        raise ValueError(f'{source} does not fit the sizes that its weights show: {problems}')
    filters = {name: value for name, value in wanted.items() if not value.is_meta}
    others = [n for n, value in filters.items() if not torch.equal(found[n].float(), value)]
    if others:
        raise ValueError(f'{source}: other filters than the network applies: {"; ".join(others)}')


def _add_from_rgb(state: Tensors, expected: Tensors) -> None:
    """Add the from-RGB layers that training with images of one size did not need, untrained."""
    source = torch.Generator().manual_seed(0)
    for k in range(FROM_RGB_LAYERS):
        weight, bias = f'from_rgb.{k}.0.weight', f'from_rgb.{k}.1.bias'
        if weight not in state and bias not in state:
            state[weight] = torch.randn(expected[weight].shape, generator=source)
            state[bias] = torch.zeros(expected[bias].shape)
