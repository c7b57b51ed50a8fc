"""Codes without a picture: seeds, truncation, ways from one code to another."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from mmcoordgan.models.networks import CoordGANGenerator

MEAN_SAMPLES = 4096
PARTS = ('structure', 'texture', 'both')


def check_seed(seed: int) -> None:
    """Raise ValueError unless ``seed`` is an integer in 0..2**63 - 1."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**63:
        raise ValueError(f'a seed must be an integer in 0..2**63 - 1, but got {seed!r}')


@torch.no_grad()
def seed_codes(generator: CoordGANGenerator, seed: int) -> tuple[Tensor, Tensor]:
    """Structure code (1, structure_width) and texture code (1, texture_width) of a seed.

    They depend on the seed alone, not on how many others are drawn.

    Raises:
        ValueError: If the seed is no integer in 0..2**63 - 1.
    """
    check_seed(seed)
    source = torch.Generator().manual_seed(int(seed))
    structure_z = torch.randn(1, generator.structure_dim, generator=source)
    texture_z = torch.randn(1, generator.texture_dim, generator=source)
    device = next(generator.parameters()).device
    structure_w = generator.map_structure(structure_z.to(device))
    return structure_w, generator.map_texture(texture_z.to(device))


@torch.no_grad()
def mean_codes(generator: CoordGANGenerator) -> tuple[Tensor, Tensor]:
    """The means of 4096 structure codes and of 4096 texture codes; the same in every call."""
    source = torch.Generator().manual_seed(0)
    device = next(generator.parameters()).device
    structure_z = torch.randn(MEAN_SAMPLES, generator.structure_dim, generator=source).to(device)
    texture_z = torch.randn(MEAN_SAMPLES, generator.texture_dim, generator=source).to(device)
    structures, textures = generator.map_structure(structure_z), generator.map_texture(texture_z)
    return structures.mean(0, keepdim=True), textures.mean(0, keepdim=True)


def truncation_pair(truncation: float | tuple[float, float]) -> tuple[float, float]:
    """Truncation of structure and of texture, from one number for both or one for each.

    Raises:
        ValueError: If a number is not finite.
    """
    pair = truncation if isinstance(truncation, (tuple, list)) else (truncation, truncation)
    if len(pair) != 2 or not all(math.isfinite(value) for value in pair):
        raise ValueError(
            'truncation must be a number, or one for structure and one for texture, but got '
            f'{truncation!r}'
        )
    return float(pair[0]), float(pair[1])


def blend(start: Tensor, end: Tensor, share: float) -> Tensor:
    """``start + share * (end - start)``; where one is W and the other W+, the result is W+."""
    if start.dim() != end.dim():
        layers = max(start, end, key=lambda code: code.dim()).shape[1]
        start, end = (
            c if c.dim() == 3 else c[:, None].expand(-1, layers, -1) for c in (start, end)
        )
    return torch.lerp(start, end, share)


def check_way(frames: int, part: str) -> None:
    """Raise ValueError unless an interpolation of ``part`` in so many frames is possible."""
    if frames < 2:
        raise ValueError(f'frames must be at least 2, but got {frames}')
    if part not in PARTS:
        raise ValueError(f'part must be one of {", ".join(PARTS)}, but got {part!r}')
