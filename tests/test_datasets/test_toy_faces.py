import numpy as np

from mmcoordgan.datasets import ToyFaces
from mmcoordgan.datasets.toy_faces.shape import CLASSES, REGION_INDEX, face_regions, warp_grid


def test_samples_depend_on_seed_and_index_only():
    first, second = ToyFaces(size=16, cache=True), ToyFaces(size=16, cache=False, length=7)
    backwards = [second.get_data_info(index)['img'] for index in (4, 2, 0)]
    forwards = [first.get_data_info(index)['img'] for index in (0, 2, 4)]
    for one, other in zip(forwards, reversed(backwards)):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(forwards[0], forwards[1])
    other_seed = ToyFaces(size=16, seed=1)
    everyone = [(dataset, index) for dataset in (first, other_seed) for index in range(50)]
    assert len({dataset.coords(index).tobytes() for dataset, index in everyone}) == 100
    assert len({dataset.texture(index).palette.tobytes() for dataset, index in everyone}) == 100


def test_colours_lie_where_the_coordinates_say():
    """Paint the palette through gt_coords: apart from edges it must explain the image."""
    dataset = ToyFaces(size=64)
    for index in range(8):
        info = dataset.get_data_info(index)
        texture = dataset.texture(index)
        regions = face_regions(*info['gt_coords'])
        same = np.ones(regions.shape, bool)
        for axis in (0, 1):
            for step in (-1, 1):
                same &= regions == np.roll(regions, step, axis)
        same[[0, -1]] = same[:, [0, -1]] = False
        x, y = info['gt_coords']
        light = 1 + texture.light[0] * x + texture.light[1] * y
        expected = (texture.palette[regions] * light[..., None]).clip(0, 1)
        for name in ('iris', 'lip', 'ear', 'nose', 'neck'):
            inner = same & (regions == REGION_INDEX[name])
            if not inner.any():
                continue
            error = np.abs(info['img'][inner] / 255 - expected[inner])
            assert np.quantile(error, 0.9) < 3 * texture.noise, (index, name)


def test_axes_and_direction_of_the_warp():
    """Eyes above the mouth, x first, y downwards; a shift moves the face the same way."""
    dataset = ToyFaces(size=32, warp_strength=0)
    axis = np.linspace(-1, 1, 32, dtype=np.float32)
    np.testing.assert_allclose(dataset.coords(5), np.stack(np.meshgrid(axis, axis)), atol=1e-6)
    labels = dataset.get_data_info(0)['gt_seg_map']
    eye_rows, eye_columns = np.nonzero(labels == CLASSES.index('eye'))
    mouth_rows, _ = np.nonzero(labels == CLASSES.index('mouth'))
    assert eye_rows.max() < mouth_rows.min()
    assert abs(eye_columns.mean() - 15.5) < 0.01

    warp = dataset.warp(0)
    moved = type(warp)(1.0, 0.0, 0.0, np.array([0.5, 0.0]), warp.displacement)
    coords = warp_grid(moved, np.linspace(-1, 1, 33))
    # Half a unit right of the image's centre shows the canonical centre.
    np.testing.assert_allclose(coords[:, 16, 24], [0, 0], atol=1e-6)
    wide = type(warp)(1.2, 0.1, 0.0, np.zeros(2), warp.displacement)
    corner = warp_grid(wide, np.linspace(-1, 1, 33))[:, -1, -1]
    np.testing.assert_allclose(corner, [np.exp(-0.05) / 1.2, np.exp(0.05) / 1.2], rtol=1e-6)
    turned = type(warp)(1.0, 0.0, np.pi / 2, np.zeros(2), warp.displacement)
    # A quarter turn clockwise (y downwards) brings the canonical right to the bottom.
    np.testing.assert_allclose(
        warp_grid(turned, np.linspace(-1, 1, 33))[:, -1, 16], [1, 0], atol=1e-6
    )


def test_structure_and_texture_are_independent():
    dataset = ToyFaces(size=32)
    base, repainted = dataset.render(1, 1), dataset.render(1, 2)
    np.testing.assert_array_equal(base['gt_seg_map'], repainted['gt_seg_map'])
    np.testing.assert_array_equal(base['gt_coords'], repainted['gt_coords'])
    assert np.abs(base['img'].astype(int) - repainted['img']).mean() > 20
    assert not np.array_equal(base['gt_coords'], dataset.render(2, 1)['gt_coords'])
