"""Figures beside cells that are painted by hand."""

import numpy as np
import pytest
import torch
from painting import Generator, painted

from mmcoordgan.geometry import canonical_grid
from mmcoordgan.visualization import coords_to_colors
from mmcoordgan.visualization.paper_figures import (
    CodedPictures,
    correspondence_maps,
    structure_interpolation,
    texture_interpolation,
    texture_swap,
)

SIZE = 8
STRUCTURES, TEXTURES = (1.0, -0.5, 0.25), ((1.0, 0.5, 0.0), (-1.0, 0.2, 0.4), (0.1, 0.8, -0.6))
GENERATOR = Generator(SIZE).eval()
WHITE = np.full((SIZE, SIZE, 3), 255, np.uint8)


def map_colors(structure: float) -> np.ndarray:
    return coords_to_colors(canonical_grid(SIZE, SIZE) * structure)


@pytest.fixture
def pictures() -> CodedPictures:
    images = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)
    structure_w = torch.tensor(STRUCTURES)[:, None]
    return CodedPictures(images, structure_w, torch.tensor(TEXTURES), GENERATOR.warp(structure_w))


def check(rows: list, expected: list) -> None:
    assert [len(row) for row in rows] == [len(row) for row in expected]
    for row, wanted in zip(rows, expected):
        for cell, picture in zip(row, wanted):
            assert cell.dtype == np.uint8
            assert np.abs(cell.astype(int) - picture).max() <= 1


def test_texture_swap(pictures):
    images = list(pictures.images)
    expected = [[WHITE, *images]]
    for image, structure in zip(images, STRUCTURES):
        expected.append([image, *(painted(structure, texture) for texture in TEXTURES)])
    check(texture_swap(GENERATOR, pictures), expected)


def test_correspondence_maps(pictures):
    expected = [
        [WHITE, *pictures.images],
        [WHITE, *(painted(s, t) for s, t in zip(STRUCTURES, TEXTURES))],
        [map_colors(1), *(map_colors(structure) for structure in STRUCTURES)],
        [WHITE, *(painted(1, texture) for texture in TEXTURES)],
    ]
    check(correspondence_maps(GENERATOR, pictures), expected)


def test_structure_interpolation(pictures):
    expected = []
    for structures, texture in zip([(1.0, 0.25, -0.5), (-0.5, -0.125, 0.25)], TEXTURES):
        expected.append([painted(structure, texture) for structure in structures])
        expected.append([map_colors(structure) for structure in structures])
    check(structure_interpolation(GENERATOR, pictures, 3), expected)
    # Without structure codes, the maps are interpolated, which is the same for this generator.
    check(structure_interpolation(GENERATOR, pictures._replace(structure_w=None), 3), expected)


def test_texture_interpolation(pictures):
    expected = []
    for structure, first, last in zip(STRUCTURES, TEXTURES, TEXTURES[1:]):
        middle = tuple(np.mean([first, last], axis=0))
        expected.append([painted(structure, texture) for texture in (first, middle, last)])
    check(texture_interpolation(GENERATOR, pictures, 3), expected)
