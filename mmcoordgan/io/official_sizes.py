"""Sizes of the reference implementation's networks, each read from the shape of one tensor.

What leaves no trace is taken as published: the factor 0.01 on the learning rate of the mapping
networks, the plain warp network, the map's side of ``4 * 2**levels`` for so many levels that see
the coordinates, and ``channel_base`` of a generator without upsampling, where it has no effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from typing import Any

from .official_names import FROM_RGB_LAYERS, count

Arguments = dict[str, Any]
State = Mapping[str, Any]


def read_arguments(key: str, state: State, base_resolution: int = 0) -> Arguments:
    """Read the arguments of our network's constructor from a state dict of the reference.

    Args:
        key: The reference's key: 'g', 'g_ema', 'e', 'd' or 'd_patch'.
        state: The reference's names -> tensors.
        base_resolution: Side of the correspondence map, for the discriminator ('d'). Default: the
            one that its widths show.

    Raises:
        ValueError: If a tensor that shows a size is missing or shows none. Starts with its name.
    """
    if key == 'd':
        return _discriminator(state, base_resolution)
    return {'e': _encoder, 'd_patch': _patch_discriminator}.get(key, _generator)(state)


def base_resolution(arguments: Mapping[str, Arguments]) -> int:
    """Side of the correspondence map as some networks show it; 0 if none does."""
    for key, name in (('g', 'base_resolution'), ('g_ema', 'base_resolution'), ('e', 'input_size')):
        if key in arguments:
            return arguments[key][name]
    return 0


def disagreements(arguments: Mapping[str, Arguments]) -> list[str]:
    """Why networks do not belong together or cannot be the reference's."""
    problems, shared = [], {'kernel_size': ('the reference', 3)}
    for key, values in arguments.items():
        for name, value in values.items():
            if name.startswith('channel') and key not in ('g', 'g_ema'):
                continue  # each network has widths of its own
            name = 'base_resolution' if name == 'input_size' else name
            other, wanted = shared.setdefault(name, (key, value))
            if value != wanted:
                problems.append(f'{name} is {wanted} in {other}, but {value} in {key}')
        if key in ('g', 'g_ema'):
            layers = 2 * values['image_size'].bit_length() - 4
            shared.setdefault('num_texture_codes', ('W+', layers))
    return problems


def _size(state: State, name: str, dim: int = 0) -> int:
    shape = tuple(getattr(state.get(name), 'shape', ()))
    if len(shape) <= dim or shape[dim] < 1:
        found = f'has shape {shape}' if name in state else 'is missing'
        raise ValueError(f'{name} {found}, so that the sizes of the network are unknown')
    return shape[dim]


def _generator(state: State) -> Arguments:
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


def _discriminator(state: State, base: int) -> Arguments:
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


def _patch_discriminator(state: State) -> Arguments:
    blocks = count(state, lambda k: f'convs.{k + 2}.conv1.')
    widths = [_size(state, f'convs.{k + 2}.conv1.Conv.weight') for k in range(blocks)]
    return dict(
        crop_size=4 << blocks,
        channels=_size(state, f'convs.{blocks + 2}.Conv.weight'),
        channel_base=max((w * (4 << (blocks - k)) for k, w in enumerate(widths)), default=0),
        hidden=_size(state, 'pairlinear.0.weight'),
    )


def _encoder(state: State) -> Arguments:
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
