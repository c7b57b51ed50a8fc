"""The paper's figures, as rows of cells for :func:`mmcoordgan.visualization.arrange_cells`.

Generators are those of ``CoordGANGenerator``, in evaluation mode.
"""

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

    images: np.ndarray  # (N, S, S, 3) uint8 RGB: photographs, or what the codes give
    structure_w: Tensor | None
    """(N, structure_width); None if the encoder finds maps without structure codes."""
    texture_w: Tensor  # (N, texture_width) or (N, num_texture_codes, texture_width)
    coords: Tensor  # (N, 2, h, w): correspondence maps, x first, in (-1, 1)


def texture_swap(generator: Any, coded: CodedPictures) -> Rows:
    """Every structure (rows) in every texture (columns): N + 1 rows of N + 1 cells.

    The N images are the first row and the first column, which share a white cell.
    """
    rows = [[np.full_like(coded.images[0], 255), *coded.images]]
    for image, coords in zip(coded.images, coded.coords):
        rows.append([image, *(_paint(generator, coords, w) for w in coded.texture_w)])
    return rows


def correspondence_maps(generator: Any, coded: CodedPictures) -> Rows:
    """Images, what their codes give, their maps, and the canonical frame in their textures.

    Four rows of N + 1 cells. The first cell of the row of maps shows the frame, the key to the
    colours (:func:`coords_to_colors`); the other first cells are white.
    """
    size = generator.base_resolution
    frame = canonical_grid(size, size).to(coded.coords)
    white = np.full_like(coded.images[0], 255)
    rows: Rows = [[white, *coded.images], [white], [coords_to_colors(frame)], [white]]
    for coords, texture_w in zip(coded.coords, coded.texture_w):
        rows[1].append(_paint(generator, coords, texture_w))
        rows[2].append(coords_to_colors(coords))
        rows[3].append(_paint(generator, frame, texture_w))
    return rows


@torch.no_grad()
def structure_interpolation(generator: Any, coded: CodedPictures, steps: int) -> Rows:
    """From each image's structure to the next one's, in the texture of the first of the two.

    Interpolates structure codes w linearly, or the maps if there are no codes. Two rows of
    ``steps`` cells for each pair of images: the painted images, and the maps below.
    """
    rows = []
    if coded.structure_w is None:
        paths = _paths(coded.coords, steps)
    else:
        codes = _paths(coded.structure_w, steps)
        paths = [[generator.warp(w[None])[0] for w in path] for path in codes]
    for maps, texture_w in zip(paths, coded.texture_w):
        rows.append([_paint(generator, coords, texture_w) for coords in maps])
        rows.append([coords_to_colors(coords) for coords in maps])
    return rows


def texture_interpolation(generator: Any, coded: CodedPictures, steps: int) -> Rows:
    """From each image's texture to the next one's, on the structure of the first of the two."""
    paths = zip(_paths(coded.texture_w, steps), coded.coords)
    return [[_paint(generator, coords, w) for w in textures] for textures, coords in paths]


def _paths(codes: Tensor, steps: int) -> list[list[Tensor]]:
    """From each code to the next one, in a straight line."""
    if len(codes) < 2 or steps < 2:
        raise ValueError(
            f'interpolation needs 2 images and 2 steps, but got {len(codes)} and {steps}'
        )
    weights = torch.linspace(0, 1, steps).tolist()
    return [[torch.lerp(a, b, weight) for weight in weights] for a, b in zip(codes[:-1], codes[1:])]


@torch.no_grad()
def _paint(generator: Any, coords: Tensor, texture_w: Tensor) -> np.ndarray:
    """One image; a row of large ones need not fit into memory together."""
    return images_to_uint8(generator.synthesize(coords[None], texture_w[None]))[0]
