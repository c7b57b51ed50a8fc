"""Parameter names and shapes of the reference implementation (NVlabs/CoordGAN), beside ours.

The reference stores one state dict per network. Its tensors equal ours up to names and dimensions
of size 1. It also stores constant filters as ``kernel``; ours are buffers that are not saved.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable

MAX_LAYERS = 64
"""No network has more numbered layers of one kind. Keeps the work on hostile files small."""
FROM_RGB_LAYERS = 3
"""The discriminator takes images of one, two and four times the correspondence map's side."""

Names = dict[str, str]


def count(names: Collection[str], layer: Callable[[int], str]) -> int:
    """Count layers: names of layer k begin with ``layer(k)``. Stops at the first gap."""
    layers = range(MAX_LAYERS)
    gaps = (k for k in layers if not any(name.startswith(layer(k)) for name in names))
    return next(gaps, MAX_LAYERS)


def official_names(key: str, ours: Collection[str], base_resolution: int = 128) -> Names:
    """Map the reference's parameter names of one network to ours.

    Args:
        key: The reference's key of the network: 'g', 'g_ema', 'd', 'd_patch' or 'e'.
        ours: Our names of its parameters, and of its filters where they are wanted too.
        base_resolution: Side of the correspondence map; only the discriminator ('d') needs it.

    Returns:
        The reference's name -> our name. Names without a counterpart are left out.
    """
    if key == 'd':
        table = _discriminator(ours, base_resolution)
    else:
        table = {'g': _generator, 'g_ema': _generator, 'd_patch': _patch, 'e': _encoder}[key](ours)
    found = {}
    for name in ours:
        head, tail = name, ''
        while head and head not in table:
            head, _, last = head.rpartition('.')
            tail = f'.{last}{tail}'
        if head:
            found[table[head] + tail] = name
    return found


def official_shape(name: str, shape: Iterable[int]) -> tuple[int, ...]:
    """Shape of a parameter in the reference, from its name there and the shape that it has here."""
    plain = tuple(shape)
    if re.fullmatch(r'foldnet\..*\.weight', name):  # convolutions of one dimension
        return plain[:3] if plain[3:] == (1,) else plain
    if re.fullmatch(r'(to_rgb1|to_rgbs\.\d+)\.bias', name):
        return (1, *plain, 1, 1)
    if re.fullmatch(r'(conv1|convs\.\d+|to_rgb1|to_rgbs\.\d+)\.conv\.weight', name):
        return (1, *plain)
    return plain or (1,)


def _generator(ours: Collection[str]) -> Names:
    table = {
        'warp_net.first': 'foldnet.conv1_1',
        'warp_net.second': 'foldnet.conv1_2',
        'warp_net.last': 'foldnet.conv1_3',
        'fourier.conv': 'lff.ffm.conv',
        'stem_to_rgb': 'to_rgb1',
        **_styled('stem', 'conv1'),
    }
    for k in range(count(ours, lambda k: f'texture_mapping.layers.{k}.')):
        table[f'texture_mapping.layers.{k}'] = f'style.{k + 1}'
    for k in range(count(ours, lambda k: f'structure_mapping.layers.{k}.')):
        table[f'structure_mapping.layers.{k}'] = f'struc.{k + 1}'
    for k in range(count(ours, lambda k: f'levels.{k}.')):
        table[f'levels.{k}.to_rgb'] = f'to_rgbs.{k}'
        table.update(_styled(f'levels.{k}.conv1', f'convs.{2 * k}'))
        table.update(_styled(f'levels.{k}.conv2', f'convs.{2 * k + 1}'))
    return table


def _discriminator(ours: Collection[str], base_resolution: int) -> Names:
    table = {**_conv('last_conv', 'final_conv', '0', '1'), 'head': 'final_linear'}
    for k in range(FROM_RGB_LAYERS):
        table.update(_conv(f'from_rgb.{base_resolution << k}', f'from_rgb.{k}', '0', '1'))
    blocks = count(ours, lambda k: f'blocks.{8 << k}.conv1.')
    for k in range(blocks):
        names = _residual(f'blocks.{4 << (blocks - k)}', f'convs.{k}', ('0', '1'), ('0', '1', '2'))
        table.update(names)
    return table


def _patch(ours: Collection[str]) -> Names:
    table = {**_conv('trunk.0', 'convs.0'), 'decision': 'pairlinear'}
    blocks = count(ours, lambda k: f'trunk.{k + 1}.conv1.')
    for k in range(1, blocks + 1):
        table.update(_residual(f'trunk.{k}', f'convs.{k + 1}'))
    table.update(_conv(f'trunk.{blocks + 1}', f'convs.{blocks + 2}'))
    return table


def _encoder(ours: Collection[str]) -> Names:
    table = {
        **_conv('from_rgb', 'FromRGB'),
        **_conv('structure_conv.0', 'ToSpatialCode.0'),
        'structure_conv.1': 'ToSpatialCode.1.Conv',
        'structure_head': 'sp_fc',
        'texture_heads': 'ToGlobalCode',
    }
    blocks = count(ours, lambda k: f'blocks.{k}.conv1.')
    for k in range(blocks):
        table.update(_residual(f'blocks.{k}', f'DownToSpatialCode.ResBlockDownBy{2**k}'))
    for k in range(count(ours, lambda k: f'texture_blocks.{k}.')):
        theirs = f'DownToGlobalCode.ConvLayerDownBy{2 ** (blocks + k)}'
        table.update(_conv(f'texture_blocks.{k}.conv', theirs))
    return table


def _styled(ours: str, theirs: str) -> Names:
    return {
        f'{ours}.conv': f'{theirs}.conv',
        f'{ours}.noise_strength': f'{theirs}.noise.weight',
        f'{ours}.bias': f'{theirs}.activate.bias',
    }


def _conv(ours: str, theirs: str, weight: str = 'Conv', bias: str = 'Act') -> Names:
    return {
        f'{ours}.weight': f'{theirs}.{weight}.weight',
        f'{ours}.bias': f'{theirs}.{bias}.bias',
    }


def _residual(
    ours: str,
    theirs: str,
    first: tuple[str, str] = ('Conv', 'Act'),
    down: tuple[str, str, str] = ('Blur', 'Conv', 'Act'),
) -> Names:
    return {
        **_conv(f'{ours}.conv1', f'{theirs}.conv1', *first),
        **_conv(f'{ours}.conv2', f'{theirs}.conv2', *down[1:]),
        **_conv(f'{ours}.skip', f'{theirs}.skip', *down[1:]),
        f'{ours}.blur': f'{theirs}.conv2.{down[0]}',
        f'{ours}.skip_blur': f'{theirs}.skip.{down[0]}',
    }
