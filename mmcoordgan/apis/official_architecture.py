"""What a checkpoint of the reference implementation says about its networks, read off the tensors.

Sizes are inferred from tensors in our names (see :mod:`.official_names`), each from all tensors
that show it, by majority: a single misshapen tensor then shows as the one that does not fit.

Some settings leave no trace in the tensors. They are taken as published: the factor 0.01 on the
learning rate of the mapping networks, the plain form of the warp network, and the correspondence
map's side, ``2 ** (levels + 2)`` for so many levels at the base resolution. ``channel_base`` of a
generator without upsampling levels has no effect; it is set to ``channels * base_resolution / 2``,
the published proportion.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

Sizes = Mapping[str, tuple[int, ...]]
Labels = Mapping[str, str]
Source = tuple[str, int]
NO_LABELS: Labels = {}


class ArchitectureError(ValueError):
    """Tensors that belong to no network of CoordGAN."""


def plain_sizes(name: str, shape: Iterable[int]) -> tuple[int, ...]:
    """A tensor's shape in our layout: without the leading 1 of modulated weights."""
    sizes = tuple(shape)
    return sizes[1:] if len(sizes) == 5 and name.endswith('.conv.weight') else sizes


def infer_generator(sizes: Sizes, labels: Labels = NO_LABELS) -> dict[str, Any]:
    """Arguments of :class:`CoordGANGenerator` from our names and shapes.

    Args:
        sizes: Shapes by our names.
        labels: What messages call the tensors, by our names. Default: our names.

    Raises:
        ArchitectureError: If the tensors are no generator's or disagree about its sizes, or if
            the widths of its upsampling levels do not follow ``min(channels, channel_base //
            resolution)``.
    """
    find = _Finder('generator', sizes, labels)
    widths = []  # of each level, and whether it sees the coordinates
    for level in range(find.count(r'levels\.(\d+)\.')):
        place = rf'levels\.{level}\.'
        width = find.size(
            f'width of level {level}',
            *((rf'{place}conv[12]\.{name}', 0) for name in ('bias', r'conv\.weight')),
        )
        inputs = find.size(
            f'inputs of level {level}',
            (rf'{place}(conv2|to_rgb)\.conv\.weight', 1),
            (rf'{place}(conv2|to_rgb)\.conv\.modulation\.(bias|weight)', 0),
        )
        widths.append((width, inputs == width + 2))
    base_levels = sum(sees for _, sees in widths)
    base = 2 ** (base_levels + 2)
    if base < 8 or not all(sees for _, sees in widths[:base_levels]):
        raise ArchitectureError(
            'the generator needs one or more levels that see the coordinates (whose inputs are two '
            f'more than their width), and then the upsampling ones; inputs of level k: {widths}'
        )
    channels = find.size(
        'channels',
        (r'stem\.bias', 0),
        (r'stem\.conv\.weight', 0),
        (r'levels\.0\.conv[12]\.bias', 0),
    )
    upsampled = {base << k: w for k, (w, _) in enumerate(widths[base_levels:], 1)}
    structure_width = find.size(
        'structure_width', (r'structure_mapping\.layers\.\d+\.(weight|bias)', 0)
    )
    texture_width = find.size(
        'texture_width',
        (r'texture_mapping\.layers\.\d+\.bias', 0),
        (r'.*\.modulation\.weight', 1),
    )
    return dict(
        image_size=base << len(upsampled),
        base_resolution=base,
        structure_dim=find.one(r'structure_mapping\.layers\.0\.weight', 1, structure_width),
        texture_dim=find.one(r'texture_mapping\.layers\.0\.weight', 1, texture_width),
        structure_width=structure_width,
        texture_width=texture_width,
        mapping_layers=find.count(r'(?:texture|structure)_mapping\.layers\.(\d+)\.'),
        channels=channels,
        channel_base=(
            _channel_base('generator', upsampled, channels) if upsampled else channels * base // 2
        ),
        kernel_size=find.size('kernel_size', (r'(stem|levels\.0\.conv[12])\.conv\.weight', 3)),
        fourier_channels=find.size(
            'fourier_channels', (r'fourier\.conv\.(weight|bias)', 0), (r'stem\.conv\.weight', 1)
        ),
        warp_channels=find.size(
            'warp_channels',
            (r'warp_net\.(first|second)\.(weight|bias)', 0),
            (r'warp_net\.(second|last)\.weight', 1),
        ),
    )


def infer_discriminator(sizes: Sizes, labels: Labels = NO_LABELS) -> dict[str, Any]:
    """Arguments of :class:`CoordGANDiscriminator` from our names and shapes.

    Raises:
        ArchitectureError: As for :func:`infer_generator`.
    """
    find = _Finder('discriminator', sizes, labels)
    inputs = find.numbers(r'from_rgb\.(\d+)\.')
    blocks = find.numbers(r'blocks\.(\d+)\.')
    channels = find.size(
        'channels', (r'last_conv\.(weight|bias)', 0), (r'head\.0\.bias', 0), (r'head\.1\.weight', 1)
    )
    widths = {
        side: find.size(
            f'width at {side}',
            (rf'(from_rgb\.{side}|blocks\.{side}\.conv1)\.(weight|bias)', 0),
            (rf'blocks\.{side}\.(conv[12]|skip)\.weight', 1),
        )
        for side in sorted({*inputs, *blocks})
    }
    return dict(
        image_size=max(blocks),
        input_sizes=tuple(inputs),
        channels=channels,
        channel_base=_channel_base('discriminator', widths, channels),
    )


def infer_patch_discriminator(sizes: Sizes, labels: Labels = NO_LABELS) -> dict[str, Any]:
    """Arguments of :class:`CoordGANPatchDiscriminator` from our names and shapes.

    Raises:
        ArchitectureError: As for :func:`infer_generator`.
    """
    find = _Finder('patch discriminator', sizes, labels)
    blocks = find.count(r'trunk\.(\d+)\.') - 2
    if blocks < 1:
        raise ArchitectureError('the patch discriminator has no residual block')
    widths = {4 << blocks: find.size('first width', (r'trunk\.0\.(weight|bias)', 0))}
    for block in range(1, blocks + 1):
        sources = (rf'trunk\.{block}\.(conv2|skip)\.(weight|bias)', 0)
        widths[4 << (blocks - block)] = find.size(f'width of block {block}', sources)
    channels = widths[4]
    return dict(
        crop_size=4 << blocks,
        channels=channels,
        channel_base=_channel_base('patch discriminator', widths, channels),
        hidden=find.size('hidden', (r'decision\.0\.(weight|bias)', 0), (r'decision\.1\.weight', 1)),
    )


def infer_encoder(sizes: Sizes, labels: Labels = NO_LABELS) -> dict[str, Any]:
    """Arguments of :class:`CoordGANEncoder` from our names and shapes.

    Raises:
        ArchitectureError: If the tensors are no encoder's, or disagree about its sizes.
    """
    find = _Finder('encoder', sizes, labels)
    depth = find.count(r'blocks\.(\d+)\.')
    first = (r'from_rgb\.(weight|bias)', 0), (r'blocks\.0\.conv1\.(weight|bias)', 0)
    channels = [find.size('width of the first layer', *first)]
    for block in range(depth):
        sources = (rf'blocks\.{block}\.(conv2|skip)\.(weight|bias)', 0)
        channels.append(find.size(f'width of block {block}', sources))
    structure_channels = find.size('structure_channels', (r'structure_conv\.1\.(weight|bias)', 0))
    inputs = find.size(
        'inputs of the structure head (sp_fc.weight)', (r'structure_head\.weight', 1)
    )
    side = round((inputs / structure_channels) ** 0.5)
    if structure_channels * side**2 != inputs:
        raise ArchitectureError(
            f"the encoder's structure head (sp_fc.weight) has {inputs} inputs, which are no square "
            f'of pixels with {structure_channels} channels each'
        )
    return dict(
        input_size=side << depth,
        structure_width=find.size('structure_width', (r'structure_head\.(weight|bias)', 0)),
        texture_width=find.size('texture_width', (r'texture_heads\.\d+\.(weight|bias)', 0)),
        num_texture_codes=find.count(r'texture_heads\.(\d+)\.'),
        channels=tuple(channels),
        structure_channels=structure_channels,
        texture_channels=tuple(
            find.size(
                f'width of texture block {k}', (rf'texture_blocks\.{k}\.conv\.(weight|bias)', 0)
            )
            for k in range(find.count(r'texture_blocks\.(\d+)\.'))
        ),
    )


class _Finder:
    """Looks sizes up in the shapes of a network's tensors."""

    def __init__(self, network: str, sizes: Sizes, labels: Labels):
        self.network = network
        self.sizes = sizes
        self.labels = labels

    def size(self, what: str, *sources: Source) -> int:
        """The size that most tensors show; a source is a pattern of names, and a dimension."""
        shown = [
            (sizes[dim], self.labels.get(name, name))
            for pattern, dim in sources
            for name, sizes in self.sizes.items()
            if re.fullmatch(pattern, name) and len(sizes) > dim
        ]
        votes = Counter(size for size, _ in shown).most_common(2)
        if not votes:
            raise ArchitectureError(
                f"nothing tells the {self.network}'s {what}: the tensors that show it are missing"
            )
        if len(votes) > 1 and votes[0][1] == votes[1][1]:
            found = ', '.join(f'{name} ({size})' for size, name in shown)
            raise ArchitectureError(f"tensors disagree about the {self.network}'s {what}: {found}")
        return votes[0][0]

    def one(self, pattern: str, dim: int, default: int) -> int:
        """The size that a single tensor shows; ``default`` where it is missing."""
        found = [s for name, s in self.sizes.items() if re.fullmatch(pattern, name)]
        return found[0][dim] if found and len(found[0]) > dim else default

    def numbers(self, pattern: str) -> list[int]:
        """The numbers in names that begin with ``pattern``, in order."""
        found = {int(m[1]) for name in self.sizes if (m := re.match(pattern, name))}
        if not found:
            raise ArchitectureError(f'the {self.network} has no {pattern} (in our names)')
        return sorted(found)

    def count(self, pattern: str) -> int:
        """How many layers are numbered so, from 0, without gaps: no more than there are tensors."""
        numbers = self.numbers(pattern)
        last = numbers[-1]
        if last >= len(numbers):
            gap = next(k for k, number in enumerate(numbers) if k != number)
            found = next(
                self.labels.get(name, name)
                for name in self.sizes
                if (m := re.match(pattern, name)) and int(m[1]) == last
            )
            raise ArchitectureError(
                f'{found} belongs to layer {last} of the {self.network}, but of layer {gap} there '
                'is nothing (in our names, from 0)'
            )
        return last + 1


def _channel_base(network: str, widths: Mapping[int, int], channels: int) -> int:
    """The ``channel_base`` whose ``min(channels, channel_base // resolution)`` are the widths."""
    low = max(width * side for side, width in widths.items())
    narrow = [(width + 1) * side - 1 for side, width in widths.items() if width < channels]
    if max(widths.values()) > channels or low > min(narrow, default=low):
        raise ArchitectureError(
            f"the {network}'s widths do not follow min(channels, channel_base // resolution): "
            f'channels is {channels}, and by resolution they are {dict(sorted(widths.items()))}'
        )
    return low
