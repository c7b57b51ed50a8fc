"""Names, shapes and sizes of the reference implementation's networks (NVlabs/CoordGAN).

The reference stores one state dict per network. Its tensors equal ours up to names and dimensions
of size 1. It also stores constant filters as ``kernel``; ours are buffers that are not saved.

Each size is read from the shape of one tensor. What leaves no trace is taken as published: the
factor 0.01 on the learning rate of the mapping networks, the plain warp network, the map's side of
``4 * 2**levels`` for so many levels that see the coordinates, and ``channel_base`` of a generator
without upsampling, where it has no effect.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from math import isqrt
from typing import Any, Union

MAX_LAYERS = 64
"""No network has more numbered layers of one kind. Keeps the work on hostile files small."""
FROM_RGB_LAYERS = 3
"""The discriminator takes images of one, two and four times the correspondence map's side."""

Arguments = dict[str, Any]
State = Mapping[str, Any]
Module = Union[str, Callable[[int], str]]
Rule = tuple[str, Module, Callable[[str], str]]
"""Pattern of our name of a module, its name in the reference, and what becomes of the rest."""


def official_names(key: str, ours: Collection[str], base_resolution: int = 128) -> dict[str, str]:
    """Map the reference's parameter names of one network to ours.

    ``key`` is the reference's: 'g', 'g_ema', 'd', 'd_patch' or 'e'. ``ours`` are our names, of
    filters too where they are wanted. ``base_resolution`` is the side of the correspondence map,
    for the discriminator.
    """
    table = {'d': _discriminator, 'd_patch': _patch, 'e': _encoder}.get(key, _generator)
    rules = table(ours, base_resolution)
    found = {}
    for name in ours:
        for pattern, theirs, rest in rules:
            if match := re.match(rf'{pattern}(?=\.)', name):
                module = theirs if isinstance(theirs, str) else theirs(int(match[1]))
                found[module + rest(name[match.end() :])] = name
                break
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


def _same(rest: str) -> str:
    return rest


def _styled(rest: str) -> str:
    return {'.noise_strength': '.noise.weight', '.bias': '.activate.bias'}.get(rest, rest)


def _words(rest: str) -> str:
    """Layers of filter, convolution and activation, by these words."""
    rest = rest.replace('.skip_blur.', '.skip.Blur.').replace('.blur.', '.conv2.Blur.')
    return rest.replace('.weight', '.Conv.weight').replace('.bias', '.Act.bias')


def _numbers(rest: str) -> str:
    """The same by their position; layers that keep the size have no filter."""
    rest = _words(rest)
    first = 0 if rest.startswith(('.conv2.', '.skip.')) else -1
    for number, word in enumerate(('Blur', 'Conv', 'Act'), first):
        rest = rest.replace(word, str(number))
    return rest


def _generator(ours: Collection[str], _: int) -> list[Rule]:
    return [
        (r'warp_net\.first', 'foldnet.conv1_1', _same),
        (r'warp_net\.second', 'foldnet.conv1_2', _same),
        (r'warp_net\.last', 'foldnet.conv1_3', _same),
        (r'fourier\.conv', 'lff.ffm.conv', _same),
        (r'texture_mapping\.layers\.(\d{1,3})', lambda k: f'style.{k + 1}', _same),
        (r'structure_mapping\.layers\.(\d{1,3})', lambda k: f'struc.{k + 1}', _same),
        (r'stem_to_rgb', 'to_rgb1', _same),
        (r'stem', 'conv1', _styled),
        (r'levels\.(\d{1,3})\.to_rgb', lambda k: f'to_rgbs.{k}', _same),
        (r'levels\.(\d{1,3})\.conv1', lambda k: f'convs.{2 * k}', _styled),
        (r'levels\.(\d{1,3})\.conv2', lambda k: f'convs.{2 * k + 1}', _styled),
    ]


def _discriminator(ours: Collection[str], base_resolution: int) -> list[Rule]:
    blocks = count(ours, lambda k: f'blocks.{8 << k}.')
    rules: list[Rule] = [
        (rf'blocks\.{4 << (blocks - k)}', f'convs.{k}', _numbers) for k in range(blocks)
    ]
    for k in range(FROM_RGB_LAYERS):
        rules.append((rf'from_rgb\.{base_resolution << k}', f'from_rgb.{k}', _numbers))
    return [*rules, ('last_conv', 'final_conv', _numbers), ('head', 'final_linear', _same)]


def _patch(ours: Collection[str], _: int) -> list[Rule]:
    return [
        (r'trunk\.0', 'convs.0', _words),
        (r'trunk\.(\d{1,3})', lambda k: f'convs.{k + 1}', _words),
        (r'decision', 'pairlinear', _same),
    ]


def _encoder(ours: Collection[str], _: int) -> list[Rule]:
    blocks = count(ours, lambda k: f'blocks.{k}.')

    def texture(k: int) -> str:
        return f'DownToGlobalCode.ConvLayerDownBy{2 ** (blocks + k)}'

    return [
        (r'from_rgb', 'FromRGB', _words),
        (r'blocks\.(\d{1,3})', lambda k: f'DownToSpatialCode.ResBlockDownBy{2**k}', _words),
        (r'structure_conv\.0', 'ToSpatialCode.0', _words),
        (r'structure_conv\.1', 'ToSpatialCode.1.Conv', _same),
        (r'structure_head', 'sp_fc', _same),
        (r'texture_blocks\.(\d{1,3})\.conv', texture, _words),
        (r'texture_heads', 'ToGlobalCode', _same),
    ]


def count(names: Collection[str], layer: Callable[[int], str]) -> int:
    """Count layers: names of layer k begin with ``layer(k)``. Stops at the first gap."""
    layers = range(MAX_LAYERS)
    gaps = (k for k in layers if not any(name.startswith(layer(k)) for name in names))
    return next(gaps, MAX_LAYERS)


def read_arguments(key: str, state: State, base_resolution: int = 0) -> Arguments:
    """Read the arguments of our network's constructor from a state dict of the reference.

    ``key`` is the reference's: 'g', 'g_ema', 'e', 'd' or 'd_patch'. ``base_resolution`` is the side
    of the correspondence map, for the discriminator; by default the one that its widths show.
    ValueError names a tensor that is missing.
    """
    if key == 'd':
        return _discriminator_sizes(state, base_resolution)
    return {'e': _encoder_sizes, 'd_patch': _patch_sizes}.get(key, _generator_sizes)(state)


def _size(state: State, name: str, dim: int = 0) -> int:
    shape = tuple(getattr(state.get(name), 'shape', ()))
    if len(shape) <= dim or shape[dim] < 1:
        found = f'has shape {shape}' if name in state else 'is missing'
        raise ValueError(f'{name} {found}, so that the sizes of the network are unknown')
    return shape[dim]


def _generator_sizes(state: State) -> Arguments:
    levels = count(state, lambda k: f'to_rgbs.{k}.')
    second = [f'convs.{2 * k + 1}.conv.weight' for k in range(levels)]
    widths = [_size(state, name, 1) for name in second]
    base_levels = sum(_size(state, name, 2) == width + 2 for name, width in zip(second, widths))
    base, channels = 4 << base_levels, _size(state, 'conv1.conv.weight', 1)
    upsampled = [widths[k] * (8 << k) for k in range(base_levels, levels)]
    return dict(
        image_size=4 << levels,
        base_resolution=base,
        structure_dim=_size(state, 'struc.1.weight', 1),
        texture_dim=_size(state, 'style.1.weight', 1),
        structure_width=_size(state, 'struc.1.weight'),
        texture_width=_size(state, 'style.1.weight'),
        mapping_layers=count(state, lambda k: f'style.{k + 1}.'),
        channels=channels,
        channel_base=max(upsampled, default=channels * base // 2),
        kernel_size=_size(state, 'conv1.conv.weight', 3),
        fourier_channels=_size(state, 'conv1.conv.weight', 2),
        warp_channels=_size(state, 'foldnet.conv1_2.weight'),
    )


def _discriminator_sizes(state: State, base: int) -> Arguments:
    blocks = count(state, lambda k: f'convs.{k}.conv1.')
    widths = {4 << (blocks - k): _size(state, f'convs.{k}.conv1.0.weight') for k in range(blocks)}
    if not base:  # the first from-RGB layer is as wide as the block behind it
        width = _size(state, 'from_rgb.0.0.weight')
        base = next((side for side in widths if widths[side] == width), 4 << blocks)
    for k in range(FROM_RGB_LAYERS):
        if f'from_rgb.{k}.0.weight' in state:
            widths.setdefault(base << k, _size(state, f'from_rgb.{k}.0.weight'))
    return dict(
        image_size=4 << blocks,
        input_sizes=tuple(base << k for k in range(FROM_RGB_LAYERS)),
        channels=_size(state, 'final_conv.0.weight'),
        channel_base=max((side * width for side, width in widths.items()), default=0),
    )


def _patch_sizes(state: State) -> Arguments:
    blocks = count(state, lambda k: f'convs.{k + 2}.conv1.')
    widths = [_size(state, f'convs.{k + 2}.conv1.Conv.weight') for k in range(blocks)]
    return dict(
        crop_size=4 << blocks,
        channels=_size(state, f'convs.{blocks + 2}.Conv.weight'),
        channel_base=max((w * (4 << (blocks - k)) for k, w in enumerate(widths)), default=0),
        hidden=_size(state, 'pairlinear.0.weight'),
    )


def _encoder_sizes(state: State) -> Arguments:
    def trunk(k: int) -> str:
        return f'DownToSpatialCode.ResBlockDownBy{2**k}.'

    def texture(k: int) -> str:
        return f'DownToGlobalCode.ConvLayerDownBy{2 ** (depth + k)}.'

    depth = count(state, trunk)
    widths = [_size(state, f'{trunk(k)}conv2.Conv.weight') for k in range(depth)]
    texture_layers = [f'{texture(k)}Conv.weight' for k in range(count(state, texture))]
    structure_channels = _size(state, 'ToSpatialCode.1.Conv.weight')
    return dict(
        input_size=isqrt(_size(state, 'sp_fc.weight', 1) // structure_channels) << depth,
        structure_width=_size(state, 'sp_fc.weight'),
        texture_width=_size(state, 'ToGlobalCode.0.weight'),
        num_texture_codes=count(state, lambda k: f'ToGlobalCode.{k}.'),
        channels=(_size(state, 'FromRGB.Conv.weight'), *widths),
        structure_channels=structure_channels,
        texture_channels=tuple(_size(state, name) for name in texture_layers),
    )
