import numpy as np
import pytest

from mmcoordgan.datasets import SimilarityJitter, ToyFaces
from mmcoordgan.datasets.toy_faces.shape import warp_grid
from mmcoordgan.registry import TRANSFORMS


def jittered(results, **settings):
    return SimilarityJitter(**settings)({k: np.copy(v) for k, v in results.items()})


def test_a_function_of_seed_and_sample():
    jitter = TRANSFORMS.build(dict(type='SimilarityJitter', seed=3))
    drawn = [jitter.draw(index) for index in range(2000)]
    again = SimilarityJitter(seed=3).draw(7)
    assert all(np.array_equal(a, b) for a, b in zip(drawn[7], again))
    assert not np.array_equal(SimilarityJitter(seed=4).draw(7)[0], again[0])
    matrices = np.array([matrix for matrix, _ in drawn])
    shifts = np.array([shift for _, shift in drawn])
    scales = np.sqrt(np.linalg.det(matrices))
    angles = np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    for values, low, high in ((scales, 0.82, 1.2), (angles, -18, 18), (shifts, -0.12, 0.12)):
        assert low <= values.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < values.max() <= high
    # A similarity: columns of equal length, at a right angle.
    np.testing.assert_allclose(
        matrices.transpose(0, 2, 1) @ matrices, scales[:, None, None] ** 2 * np.eye(2), atol=1e-12
    )


def test_everything_moves_by_whole_pixels():
    """One column to the right: the border shows its mirror image, points leave the frame."""
    image = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    coords = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    points = np.array([[0.125, 0.5], [0.875, 0.5], [np.nan, np.nan]], np.float32)
    results = dict(img=image, gt_seg_map=labels, gt_coords=coords, gt_soft_seg=coords)
    jitter = SimilarityJitter()
    jitter.draw = lambda index: (np.eye(2), np.array([0.25, 0]))
    moved = jitter({**results, 'gt_points': points, 'sample_idx': 0})
    order = [0, 0, 1, 2]
    np.testing.assert_array_equal(moved['img'], image[:, order])
    np.testing.assert_array_equal(moved['gt_seg_map'], labels[:, order])
    for key in ('gt_coords', 'gt_soft_seg'):
        np.testing.assert_allclose(moved[key], coords[:, :, order], atol=1e-5)
    np.testing.assert_allclose(moved['gt_points'][:2], [[0.375, 0.5], [1.125, 0.5]])
    assert np.isnan(moved['gt_points'][2]).all()
    assert moved['img'].dtype == moved['gt_seg_map'].dtype == np.uint8


@pytest.mark.parametrize('shape', [(64, 64), (48, 96)])
def test_points_stay_on_what_they_mark(shape):
    """A bright blob and the point at its centre, in images that need not be square."""
    height, width = shape
    rows, columns = np.mgrid[:height, :width]
    errors = []
    for index in range(20):
        x, y = width * 0.5 + 4.5, height * 0.5 - 5.5  # the centre of a label, too
        blob = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8)
        image = np.repeat(blob[..., None], 3, -1).astype(np.uint8)
        points = np.array([[(x + 0.5) / width, (y + 0.5) / height]], np.float32)
        small = blob.reshape(height // 2, 2, width // 2, 2).mean((1, 3))
        labels = (small > 10).astype(np.uint8)  # labels of half the size
        moved = jittered(
            dict(img=image, gt_points=points, gt_seg_map=labels, sample_idx=index), seed=1
        )
        weight = moved['img'][..., 0].astype(float)
        centre = [(weight * a).sum() / weight.sum() for a in (columns, rows)]
        found = moved['gt_points'][0] * [width, height] - 0.5
        np.testing.assert_allclose(found, centre, atol=0.1)
        matrix, shift = SimilarityJitter(seed=1).draw(index)  # in pixels, whatever the sides are
        middle = np.array([width - 1, height - 1]) / 2
        expected = matrix @ ([x, y] - middle) + shift * [width, height] + middle
        np.testing.assert_allclose(found, expected, atol=1e-3)
        middle = [np.mean(a) for a in np.nonzero(moved['gt_seg_map'])[::-1]]
        errors.append(found - np.multiply(middle, 2) - 0.5)
    assert np.abs(errors).max() < 1.2 and np.abs(np.mean(errors, 0)).max() < 0.2


def test_canonical_coordinates_are_those_of_the_formula():
    faces = ToyFaces(size=64)
    moved = jittered(faces.get_data_info(5), seed=2)
    matrix, shift = SimilarityJitter(seed=2).draw(5)
    # Positions in pixels from the centre, moved back.
    axis = np.arange(64) - 31.5
    x, y = np.tensordot(
        np.linalg.inv(matrix), np.stack(np.meshgrid(axis, axis)) - 64 * shift[:, None, None], 1
    )
    inside = (np.abs(x) < 31.5) & (np.abs(y) < 31.5)
    fine = np.linspace(-1, 1, 64)
    for row, column in np.argwhere(inside)[::97]:
        positions = np.array([x[row, column], y[row, column]]) / 31.5
        exact = warp_grid(faces.warp(5), np.append(fine, positions))[:, -1, -2]
        np.testing.assert_allclose(moved['gt_coords'][:, row, column], exact, atol=2e-3)
    assert np.isfinite(moved['gt_coords']).all()  # outside: of what the mirror image shows
