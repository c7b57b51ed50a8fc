import numpy as np
import torch

from mmcoordgan.geometry import canonical_grid
from mmcoordgan.visualization import coords_to_colors, images_to_uint8


def color_at(x, y, checkers=0):
    return coords_to_colors(np.array([[[x]], [[y]]], dtype=np.float64), checkers)[0, 0]


def test_corners_have_the_colours_they_are_given():
    grid = canonical_grid(5, 7)
    colors = coords_to_colors(grid, checkers=0)
    assert colors.shape == (5, 7, 3) and colors.dtype == np.uint8
    np.testing.assert_allclose(colors[0, 0], (255, 196, 0), atol=1)  # yellow: top left
    np.testing.assert_allclose(colors[0, -1], (240, 60, 110), atol=1)  # red: top right
    np.testing.assert_allclose(colors[-1, 0], (0, 190, 120), atol=1)  # green: bottom left
    np.testing.assert_allclose(colors[-1, -1], (70, 110, 255), atol=1)  # blue: bottom right


def test_the_colour_depends_on_the_coordinate_alone():
    grid = canonical_grid(6, 6)
    scrambled = grid.flatten(1)[:, torch.randperm(36, generator=torch.Generator().manual_seed(0))]
    batch = torch.stack([grid, scrambled.view(2, 6, 6)])
    straight, mixed = coords_to_colors(batch)
    assert sorted(map(tuple, straight.reshape(-1, 3))) == sorted(map(tuple, mixed.reshape(-1, 3)))
    np.testing.assert_array_equal(straight, coords_to_colors(grid.numpy()))


def test_out_of_range_is_clamped_and_not_finite_is_black():
    np.testing.assert_array_equal(color_at(-3.0, 1.5), color_at(-1.0, 1.0))
    np.testing.assert_array_equal(color_at(float('nan'), 0.0), (0, 0, 0))
    np.testing.assert_array_equal(color_at(0.0, float('inf')), (0, 0, 0))
    assert color_at(0.0, 0.0).min() > 50


def test_checkers_alternate_with_the_coordinate():
    # four squares on each side: their centres lie at -0.75, -0.25, 0.25, 0.75
    plain, checked = (
        np.array([color_at(x, -0.75, n).astype(int).sum() for x in (-0.75, -0.25, 0.25, 0.75)])
        for n in (0, 4)
    )
    np.testing.assert_array_equal(np.sign(checked - plain), (1, -1, 1, -1))
    assert np.abs(checked - plain).max() < 60  # light


def test_images_to_uint8():
    values = torch.tensor([-2.0, -1.0, 0.0, 0.5, 1.0, 7.0, float('nan')])
    image = values.expand(3, 1, 7)
    expected = [0, 0, 128, 191, 255, 255, 0]
    np.testing.assert_array_equal(images_to_uint8(image)[0, :, 0], expected)
    assert images_to_uint8(image[None]).shape == (1, 1, 7, 3)
