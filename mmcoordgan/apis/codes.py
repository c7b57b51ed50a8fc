"""Codes without an image: seeds, means, interpolation; and the images that codes give."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmcoordgan.models.sampling import seeded_codes
from mmcoordgan.visualization import images_to_uint8

from .images import resize_to
from .results import Rendering

MEAN_SAMPLES = 4096


def check_seed(seed: int) -> None:
    """Raise ValueError unless ``seed`` is an integer in 0..2**63 - 1."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**63:
        raise ValueError(f'a seed must be an integer in 0..2**63 - 1, but got {seed!r}')


@torch.no_grad()
def seed_codes(generator: Any, seed: int) -> tuple[Tensor, Tensor]:
    """Structure code (1, structure_width) and texture code (1, texture_width) of a seed.

    They are those of the test samples of stage 1.
    """
    check_seed(seed)
    (structure_z, _), (texture_z, _) = seeded_codes(generator, [seed])
    return generator.map_structure(structure_z), generator.map_texture(texture_z)


@torch.no_grad()
def mean_codes(generator: Any) -> tuple[Tensor, Tensor]:
    """The means of 4096 structure codes and of 4096 texture codes; the same in every call."""
    source = torch.Generator().manual_seed(0)
    device = next(generator.parameters()).device
    structure_z = torch.randn(MEAN_SAMPLES, generator.structure_dim, generator=source).to(device)
    texture_z = torch.randn(MEAN_SAMPLES, generator.texture_dim, generator=source).to(device)
    structures, textures = generator.map_structure(structure_z), generator.map_texture(texture_z)
    return structures.mean(0, keepdim=True), textures.mean(0, keepdim=True)


def blend(start: Tensor, end: Tensor, weight: float) -> Tensor:
    """``start + weight * (end - start)``; where one is W and the other W+, the result is W+."""
    if start.dim() == end.dim():
        return torch.lerp(start, end, weight)
    layers = max(start, end, key=Tensor.dim).shape[1]
    start, end = (w if w.dim() == 3 else w[:, None].expand(-1, layers, -1) for w in (start, end))
    return torch.lerp(start, end, weight)


@torch.no_grad()
def render(
    generator: Any,
    name: str,
    coords: Tensor,
    texture_w: Tensor,
    shape: tuple[int, int] | None = None,
) -> Rendering:
    """One image of a map (1, 2, h, w) and a texture code, resized to ``shape`` (H, W) if given."""
    image = images_to_uint8(generator.synthesize(coords, texture_w)[0])
    image = resize_to(image, shape or image.shape[:2])
    return Rendering(name, image, coords[0].float().cpu().numpy())
