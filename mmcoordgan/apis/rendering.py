"""Render images from codes: of samples, of frames between two codes, of swapped textures."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mmcoordgan.visualization import images_to_uint8

from .codes import blend, seed_codes
from .encoding import Codes
from .images import resize_to
from .results import Rendering


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
    return Rendering(
        name, resize_to(image, shape or image.shape[:2]), coords[0].float().cpu().numpy()
    )


@torch.no_grad()
def render_seed(
    generator: Any,
    seed: int,
    means: tuple[Tensor, Tensor] | None = None,
    truncation: tuple[float, float] = (1.0, 1.0),
) -> Rendering:
    """The sample of a seed; codes become ``mean + truncation * (code - mean)`` if given means."""
    structure_w, texture_w = seed_codes(generator, seed)
    if means is not None:
        structure_w = blend(means[0], structure_w, truncation[0])
        texture_w = blend(means[1], texture_w, truncation[1])
    return render(generator, f'seed {seed}', generator.warp(structure_w), texture_w)


@torch.no_grad()
def render_between(
    generator: Any, name: str, first: Codes, last: Codes, weights: tuple[float, float]
) -> Rendering:
    """An image between two, at the given weights (0..1) of the last one's structure and texture.

    Interpolates structure codes linearly, or the maps where an image has no structure code.
    """
    if first.structure_w is None or last.structure_w is None:
        coords = torch.lerp(first.coords, last.coords, weights[0])
    else:
        coords = generator.warp(torch.lerp(first.structure_w, last.structure_w, weights[0]))
    return render(generator, name, coords, blend(first.texture_w, last.texture_w, weights[1]))
