import numpy as np
import torch
from painting import Generator, painted

from mmcoordgan.geometry import canonical_grid
from mmcoordgan.visualization import arrange_cells, coords_to_colors, sample_grid

STRUCTURES = torch.tensor([[1.0], [-0.5]])
TEXTURES = torch.tensor([[1.0, -1.0, 0.0], [-0.9, 1.0, 0.7], [0.3, 0.2, 0.1]])


def cell(picture, row, column, side):
    top, left = 2 + row * (side + 2), 2 + column * (side + 2)
    return picture[top : top + side, left : left + side]


def test_rows_share_a_structure_and_columns_a_texture():
    generator = Generator()
    picture = sample_grid(generator, STRUCTURES, TEXTURES)[:-18, 18:]
    side = 96  # 8 * 12
    assert picture.shape == (2 + 3 * 98, 2 + 4 * 98, 3) and picture.dtype == np.uint8
    frame = canonical_grid(8, 8)
    for row, structure in enumerate((1.0, 1.0, -0.5)):  # the frame itself, then the two
        key = coords_to_colors(frame * structure).repeat(12, 0).repeat(12, 1)
        np.testing.assert_array_equal(cell(picture, row, 0, side), key)
        for column, texture in enumerate(TEXTURES):
            got = cell(picture, row, column + 1, side).astype(int)
            wanted = painted(structure, texture).repeat(12, 0).repeat(12, 1)
            assert np.abs(got - wanted).max() <= 1


def test_large_images_keep_their_size_and_maps_follow():
    picture = sample_grid(Generator(size=64, scale=2), STRUCTURES, TEXTURES)[:-18, 18:]
    assert picture.shape == (2 + 3 * 130, 2 + 4 * 130, 3)
    key = coords_to_colors(canonical_grid(64, 64)).repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(cell(picture, 0, 0, 128), key)


def test_the_mode_is_restored():
    generator = Generator().train()
    sample_grid(generator, STRUCTURES, TEXTURES)
    assert generator.training and generator.dropout.training


def test_cells_of_several_sizes():
    small, large = np.full((5, 5, 3), 10, np.uint8), np.full((10, 10, 3), 20, np.uint8)
    picture = arrange_cells([[small, large]], min_cell=25)
    assert picture.shape == (34, 66, 3)  # side 30 = 10 * 3
    assert (cell(picture, 0, 0, 30) == 10).all()
    assert (cell(picture, 0, 1, 30) == 20).all()
    titled = arrange_cells([[small, large]], min_cell=25, titles=('a', 'b', 'of no column'))
    band = titled[len(picture) :]
    assert np.array_equal(titled[: len(picture)], picture) and len(band) == 18
    assert all(band[:, 2 + 32 * i : 2 + 32 * i + 30].min() < 100 for i in (0, 1))
    rows = [[small], [large]]
    named = arrange_cells(rows, min_cell=25, titles=('a',), sides=('', 'b'))
    assert np.array_equal(named[:66, 18:], arrange_cells(rows, min_cell=25))
    assert (named[:34, :18] == 255).all() and named[34:66, :18].min() < 100
    assert np.array_equal(named[66:, 18 : 18 + 34], band[:, :34])
