"""The paper's figures, as rows of cells for :func:`mmcoordgan.visualization.arrange_cells`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmcoordgan.geometry import canonical_grid

from .colors import coords_to_colors, images_to_uint8

Rows = list[list[np.ndarray]]


class CodedPictures(NamedTuple):
    """N pictures with their codes."""

    images: np.ndarray
    """(N, S, S, 3) uint8 RGB: photographs, or what the generator makes of the codes."""
    structure_w: Tensor
    """(N, structure_width)."""
    texture_w: Tensor
    """(N, texture_width), or one code for each layer, (N, num_texture_codes, texture_width)."""


@torch.no_grad()
def texture_swap(generator: Any, pictures: CodedPictures) -> Rows:
    """Every structure in every texture.

    Pictures stand in the first row and in the first column. Cell (r, c) has the structure of the
    picture that begins its row and the texture of the one above its column.

    Args:
        generator: A ``CoordGANGenerator`` in evaluation mode.
        pictures: N of them.

    Returns:
        N + 1 rows of N + 1 cells, the first of them white.
    """
    images = list(pictures.images)
    rows = [[_white(images[0]), *images]]
    for image, structure_w in zip(images, pictures.structure_w):
        coords = generator.warp(structure_w[None])
        rows.append([image, *(_paint(generator, coords, w) for w in pictures.texture_w)])
    return rows


@torch.no_grad()
def correspondence_maps(generator: Any, pictures: CodedPictures) -> Rows:
    """Pictures, what their codes give, their maps, and the canonical frame in their textures.

    Two pixels correspond where the maps have the same colour (:func:`coords_to_colors`). The
    first cell of the row of maps shows the frame, the key to the colours.

    Args:
        generator: A ``CoordGANGenerator`` in evaluation mode.
        pictures: N of them.

    Returns:
        Four rows of N + 1 cells; the other first cells are white.
    """
    frame = canonical_grid(generator.base_resolution, generator.base_resolution)
    frame = frame[None].to(pictures.structure_w)
    white = _white(pictures.images[0])
    rows: Rows = [[white, *pictures.images], [white], [coords_to_colors(frame[0])], [white]]
    for structure_w, texture_w in zip(pictures.structure_w, pictures.texture_w):
        coords = generator.warp(structure_w[None])
        rows[1].append(_paint(generator, coords, texture_w))
        rows[2].append(coords_to_colors(coords[0]))
        rows[3].append(_paint(generator, frame, texture_w))
    return rows


@torch.no_grad()
def structure_interpolation(generator: Any, pictures: CodedPictures, steps: int) -> Rows:
    """From each picture's structure to the next one's, in the texture of the first of the two.

    Structure codes w are interpolated linearly. Two rows for each step from picture to picture:
    what is painted, and the correspondence maps below.

    Args:
        generator: A ``CoordGANGenerator`` in evaluation mode.
        pictures: N of them, at least 2.
        steps: Cells of a row, at least 2; the first and the last one are the pictures' own.

    Returns:
        2 (N - 1) rows of ``steps`` cells.
    """
    rows = []
    for structures, texture_w in zip(_ways(pictures.structure_w, steps), pictures.texture_w):
        maps = [generator.warp(structure_w[None]) for structure_w in structures]
        rows.append([_paint(generator, coords, texture_w) for coords in maps])
        rows.append([coords_to_colors(coords[0]) for coords in maps])
    return rows


@torch.no_grad()
def texture_interpolation(generator: Any, pictures: CodedPictures, steps: int) -> Rows:
    """From each picture's texture to the next one's, on the structure of the first of the two.

    As :func:`structure_interpolation`, without the maps, which stay as they are: N - 1 rows.
    """
    rows = []
    for textures, structure_w in zip(_ways(pictures.texture_w, steps), pictures.structure_w):
        coords = generator.warp(structure_w[None])
        rows.append([_paint(generator, coords, texture_w) for texture_w in textures])
    return rows


def _ways(codes: Tensor, steps: int) -> list[list[Tensor]]:
    """From each code to the next one, in a straight line."""
    if len(codes) < 2 or steps < 2:
        raise ValueError(
            f'interpolation needs 2 pictures and 2 steps, but got {len(codes)} and {steps}'
        )
    shares = torch.linspace(0, 1, steps).tolist()
    return [[torch.lerp(a, b, share) for share in shares] for a, b in zip(codes[:-1], codes[1:])]


def _paint(generator: Any, coords: Tensor, texture_w: Tensor) -> np.ndarray:
    """One picture; a row of large ones need not fit into memory together."""
    return images_to_uint8(generator.synthesize(coords, texture_w[None]))[0]


def _white(image: np.ndarray) -> np.ndarray:
    return np.full_like(image, 255)
