"""Every tensor of the reference implementation's networks: names, shapes, order, filters.

A layout maps names, in the order of the reference's state dict, to shapes, or for constant filters
(the reference's buffers) to their values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Union

import torch
from torch import Tensor

from mmcoordgan.models.networks.layers import blur_kernel

Layout = dict[str, Union[tuple[int, ...], Tensor]]

FROM_RGB_LAYERS = 3
"""The reference's discriminator has layers for pictures of one, two and four times the map."""


def generator_layout(
    *,
    image_size: int,
    base_resolution: int,
    structure_dim: int,
    texture_dim: int,
    structure_width: int,
    texture_width: int,
    mapping_layers: int,
    channels: int,
    channel_base: int,
    kernel_size: int,
    fourier_channels: int,
    warp_channels: int,
) -> Layout:
    """Layout of 'g' and 'g_ema'; arguments as for :class:`CoordGANGenerator`."""
    levels = base_resolution.bit_length() - 3
    width = texture_width
    out: Layout = _mapping('style', texture_dim, width, mapping_layers)
    out.update(_styled('conv1', fourier_channels, channels, kernel_size, width))
    out.update(_to_rgb('to_rgb1', channels + 2, width))
    rgbs: Layout = {}
    for level in range(levels):
        for conv in (2 * level, 2 * level + 1):
            out.update(_styled(f'convs.{conv}', channels + 2, channels, kernel_size, width))
        rgbs.update(_to_rgb(f'to_rgbs.{level}', channels + 2, width))
    resolution, inputs = base_resolution, channels + 2
    while resolution < image_size:
        resolution *= 2
        outputs = min(channels, channel_base // resolution)
        out.update(_styled(f'convs.{2 * levels}', inputs, outputs, 3, width, upsample=True))
        out.update(_styled(f'convs.{2 * levels + 1}', outputs, outputs, 3, width))
        rgbs.update(_to_rgb(f'to_rgbs.{levels}', outputs, width, upsample=True))
        inputs, levels = outputs, levels + 1
    out.update(rgbs)
    out['lff.ffm.conv.weight'] = (fourier_channels, 2, 1, 1)
    out['lff.ffm.conv.bias'] = (fourier_channels,)
    sides = (2 + structure_width, warp_channels, warp_channels, 2)
    for k in (1, 2, 3):
        out[f'foldnet.conv1_{k}.weight'] = (sides[k], sides[k - 1], 1)
        out[f'foldnet.conv1_{k}.bias'] = (sides[k],)
    out.update(_mapping('struc', structure_dim, structure_width, mapping_layers))
    return out


def discriminator_layout(
    *, image_size: int, input_sizes: tuple[int, ...], channels: int, channel_base: int
) -> Layout:
    """Layout of 'd'; arguments as for :class:`CoordGANDiscriminator`."""

    def width(resolution: int) -> int:
        return min(channels, channel_base // resolution)

    out: Layout = {}
    for k, side in enumerate(input_sizes):
        out[f'from_rgb.{k}.0.weight'] = (width(side), 3, 1, 1)
        out[f'from_rgb.{k}.1.bias'] = (width(side),)
    k, side = 0, image_size
    while side > 4:
        names = dict(kernel='0.kernel', weight='1.weight', bias='2.bias')
        out[f'convs.{k}.conv1.0.weight'] = (width(side), width(side), 3, 3)
        out[f'convs.{k}.conv1.1.bias'] = (width(side),)
        out.update(_down(f'convs.{k}', width(side), width(side // 2), (1, 3, 3, 1), names))
        k, side = k + 1, side // 2
    last = width(4)
    out['final_conv.0.weight'] = (last, last + 1, 3, 3)
    out['final_conv.1.bias'] = (last,)
    out.update(_linear('final_linear.0', last * 16, last))
    out.update(_linear('final_linear.1', last, 1))
    return out


def patch_discriminator_layout(
    *, crop_size: int, channels: int, channel_base: int, hidden: int
) -> Layout:
    """Layout of 'd_patch'; arguments as for :class:`CoordGANPatchDiscriminator`."""

    def width(resolution: int) -> int:
        return min(channels, channel_base // resolution)

    out: Layout = _conv('convs.0', 3, width(crop_size), 3)
    k, side = 2, crop_size
    while side > 4:
        out.update(_residual(f'convs.{k}', width(side), width(side // 2), (1, 3, 3, 1)))
        k, side = k + 1, side // 2
    out.update(_conv(f'convs.{k}', width(4), width(4), 3))
    out.update(_linear('pairlinear.0', 2 * width(4) * 2 * 2, hidden))
    out.update(_linear('pairlinear.1', hidden, 1))
    return out


def encoder_layout(
    *,
    input_size: int,
    structure_width: int,
    texture_width: int,
    num_texture_codes: int,
    channels: tuple[int, ...],
    structure_channels: int,
    texture_channels: tuple[int, ...],
) -> Layout:
    """Layout of 'e'; arguments as for :class:`CoordGANEncoder`."""
    depth, last = len(channels) - 1, channels[-1]
    side = input_size >> depth
    out: Layout = _linear('sp_fc', structure_channels * side**2, structure_width)
    out.update(_conv('FromRGB', 3, channels[0], 1))
    for k, (inputs, outputs) in enumerate(zip(channels, channels[1:])):
        place = f'DownToSpatialCode.ResBlockDownBy{2**k}'
        out.update(_residual(place, inputs, outputs, (1, 2, 1)))
    out.update(_conv('ToSpatialCode.0', last, last, 1))
    out['ToSpatialCode.1.Conv.weight'] = (structure_channels, last, 1, 1)
    out['ToSpatialCode.1.Conv.bias'] = (structure_channels,)
    for k, outputs in enumerate(texture_channels):
        place = f'DownToGlobalCode.ConvLayerDownBy{2 ** (depth + k)}'
        out[f'{place}.Blur.kernel'] = blur_kernel((1,), 1.0)
        out.update(_conv(place, last, outputs, 3))
        last = outputs
    for k in range(num_texture_codes):
        out.update(_linear(f'ToGlobalCode.{k}', last, texture_width))
    return out


LAYOUTS: dict[str, Any] = {
    'g': generator_layout,
    'g_ema': generator_layout,
    'd': discriminator_layout,
    'd_patch': patch_discriminator_layout,
    'e': encoder_layout,
}


def misfits(network: str, state: Mapping[str, Any], layout: Layout) -> list[str]:
    """What keeps a state dict of the reference from being exactly that of a layout, by name."""
    problems = [f'{network}.{name} is missing' for name in layout if name not in state]
    for name, value in state.items():
        place, wanted = f'{network}.{name}', layout.get(name)
        if wanted is None:
            problems.append(f'{place} is not in this network')
        elif not isinstance(value, Tensor):
            problems.append(f'{place} is no tensor, but {type(value).__name__}')
        else:
            shape = tuple(wanted.shape) if isinstance(wanted, Tensor) else wanted
            if tuple(value.shape) != shape:
                problems.append(f'{place} has shape {tuple(value.shape)}, needed is {shape}')
            elif isinstance(wanted, Tensor) and not torch.equal(value.float().cpu(), wanted):
                problems.append(f'{place} is not the constant filter that the network applies')
    return problems


def _linear(name: str, inputs: int, outputs: int) -> Layout:
    return {f'{name}.weight': (outputs, inputs), f'{name}.bias': (outputs,)}


def _mapping(name: str, inputs: int, width: int, layers: int) -> Layout:
    out: Layout = {}
    for layer in range(1, layers + 1):
        out.update(_linear(f'{name}.{layer}', inputs if layer == 1 else width, width))
    return out


def _modulated(
    name: str, inputs: int, outputs: int, kernel: int, width: int, upsample: bool = False
) -> Layout:
    out: Layout = {f'{name}.weight': (1, outputs, inputs, kernel, kernel)}
    if upsample:
        out[f'{name}.blur.kernel'] = blur_kernel((1, 3, 3, 1), 4.0)
    out[f'{name}.modulation.weight'] = (inputs, width)
    out[f'{name}.modulation.bias'] = (inputs,)
    return out


def _styled(
    name: str, inputs: int, outputs: int, kernel: int, width: int, upsample: bool = False
) -> Layout:
    out = _modulated(f'{name}.conv', inputs, outputs, kernel, width, upsample)
    out[f'{name}.noise.weight'] = (1,)
    out[f'{name}.activate.bias'] = (outputs,)
    return out


def _to_rgb(name: str, inputs: int, width: int, upsample: bool = False) -> Layout:
    out: Layout = {f'{name}.bias': (1, 3, 1, 1)}
    if upsample:
        out[f'{name}.upsample.kernel'] = blur_kernel((1, 3, 3, 1), 4.0)
    out.update(_modulated(f'{name}.conv', inputs, 3, 1, width))
    return out


def _conv(name: str, inputs: int, outputs: int, kernel: int) -> Layout:
    weight = (outputs, inputs, kernel, kernel)
    return {f'{name}.Conv.weight': weight, f'{name}.Act.bias': (outputs,)}


def _residual(name: str, inputs: int, outputs: int, taps: tuple[int, ...]) -> Layout:
    names = dict(kernel='Blur.kernel', weight='Conv.weight', bias='Act.bias')
    return {
        **_conv(f'{name}.conv1', inputs, inputs, 3),
        **_down(name, inputs, outputs, taps, names),
    }


def _down(
    name: str, inputs: int, outputs: int, taps: tuple[int, ...], names: Mapping[str, str]
) -> Layout:
    """The two layers of a residual block that halve the picture, ``conv2`` and ``skip``."""
    return {
        f'{name}.conv2.{names["kernel"]}': blur_kernel(taps, 1.0),
        f'{name}.conv2.{names["weight"]}': (outputs, inputs, 3, 3),
        f'{name}.conv2.{names["bias"]}': (outputs,),
        f'{name}.skip.{names["kernel"]}': blur_kernel(taps, 1.0),
        f'{name}.skip.{names["weight"]}': (outputs, inputs, 1, 1),
    }
