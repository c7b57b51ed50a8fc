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
    """N images with their codes and maps."""

    images: np.ndarray
    """(N, S, S, 3) uint8 RGB: photographs, or what the generator makes of the codes."""
    structure_w: Tensor | None
    """(N, structure_width); None if the encoder finds maps without structure codes."""
    texture_w: Tensor
    """(N, texture_width), or one code for each layer, (N, num_texture_codes, texture_width)."""
    coords: Tensor
    """(N, 2, h, w): correspondence maps, x first, in (-1, 1)."""


@torch.no_grad()
def texture_swap(generator: Any, pictures: CodedPictures) -> Rows:
    """Every structure in every texture.

    Images stand in the first row and in the first column. Cell (r, c) has the structure of the
    image that begins its row and the texture of the one above its column.

    Args:
        generator: A ``CoordGANGenerator`` in evaluation mode.
        pictures: N of them.

    Returns:
        N + 1 rows of N + 1 cells, the first of them white.
    """
    images = list(pictures.images)
    rows = [[_white(images[0]), *images]]
    for image, coords in zip(images, pictures.coords):
        rows.append([image, *(_paint(generator, coords, w) for w in pictures.texture_w)])
    return rows


@torch.no_grad()
def correspondence_maps(generator: Any, pictures: CodedPictures) -> Rows:
    """Images, what their codes give, their maps, and the canonical frame in their textures.

    Two pixels correspond where the maps have the same colour (:func:`coords_to_colors`). The
    first cell of the row of maps shows the frame, the key to the colours.

    Args:
        generator: A ``CoordGANGenerator`` in evaluation mode.
        pictures: N of them.

    Returns:
        Four rows of N + 1 cells; the other first cells are white.
    """
    frame = canonical_grid(generator.base_resolution, generator.base_resolution)
    frame = frame.to(pictures.coords)
    white = _white(pictures.images[0])
    rows: Rows = [[white, *pictures.images], [white], [coords_to_colors(frame)], [white]]
    for coords, texture_w in zip(pictures.coords, pictures.texture_w):
        rows[1].append(_paint(generator, coords, texture_w))
        rows[2].append(coords_to_colors(coords))
        rows[3].append(_paint(generator, frame, texture_w))
    return rows


@torch.no_grad()
def structure_interpolation(generator: Any, pictures: CodedPictures, steps: int) -> Rows:
    """From each image's structure to the next one's, in the texture of the first of the two.

    Interpolates structure codes w linearly, or the maps if there are no codes. Two rows for each
    pair of images: what is painted, and the correspondence maps below.

    Args:
        generator: A ``CoordGANGenerator`` in evaluation mode.
        pictures: N of them, at least 2.
        steps: Cells of a row, at least 2; the first and the last one are the pictures' own.

    Returns:
        2 (N - 1) rows of ``steps`` cells.
    """
    rows = []
    if pictures.structure_w is None:
        ways = _ways(pictures.coords, steps)
    else:
        codes = _ways(pictures.structure_w, steps)
        ways = [[generator.warp(w[None])[0] for w in way] for way in codes]
    for maps, texture_w in zip(ways, pictures.texture_w):
        rows.append([_paint(generator, coords, texture_w) for coords in maps])
        rows.append([coords_to_colors(coords) for coords in maps])
    return rows


@torch.no_grad()
def texture_interpolation(generator: Any, pictures: CodedPictures, steps: int) -> Rows:
    """From each image's texture to the next one's, on the structure of the first of the two.

    As :func:`structure_interpolation`, without the maps, which stay as they are: N - 1 rows.
    """
    rows = []
    for textures, coords in zip(_ways(pictures.texture_w, steps), pictures.coords):
        rows.append([_paint(generator, coords, texture_w) for texture_w in textures])
    return rows


def _ways(codes: Tensor, steps: int) -> list[list[Tensor]]:
    """From each code to the next one, in a straight line."""
    if len(codes) < 2 or steps < 2:
        raise ValueError(
            f'interpolation needs 2 images and 2 steps, but got {len(codes)} and {steps}'
        )
    weights = torch.linspace(0, 1, steps).tolist()
    return [[torch.lerp(a, b, weight) for weight in weights] for a, b in zip(codes[:-1], codes[1:])]


def _paint(generator: Any, coords: Tensor, texture_w: Tensor) -> np.ndarray:
    """One image; a row of large ones need not fit into memory together."""
    return images_to_uint8(generator.synthesize(coords[None], texture_w[None]))[0]


def _white(image: np.ndarray) -> np.ndarray:
    return np.full_like(image, 255)
