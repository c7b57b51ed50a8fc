"""Matches and their cycle distance, against loops over pixels and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmcoordgan.apis.correspondence import (
    at_points,
    at_size,
    confidence,
    default_temperature,
    match_field,
    pixel_centres,
    to_pixels,
    to_shares,
)
from mmcoordgan.geometry import IndexedCoords, canonical_grid

T = 0.1


def centres(size: int) -> np.ndarray:
    line = (np.arange(size) + 0.5) / size
    return np.stack(np.meshgrid(line, line), -1)  # (h, w, 2)


def mean_place(point: np.ndarray, coords: np.ndarray, temperature: float) -> np.ndarray:
    """Where a point of the frame lies in a picture, by the definition of the soft transfer."""
    distance = np.linalg.norm(coords - point[:, None, None], axis=0)
    weights = np.exp(-(distance - distance.min()) / temperature)
    return (weights[..., None] * centres(coords.shape[-1])).sum((0, 1)) / weights.sum()


def bilinear(coords: np.ndarray, place: np.ndarray) -> np.ndarray:
    size = coords.shape[-1]
    x, y = np.clip(place * size - 0.5, 0, size - 1)
    left, top = min(int(x), size - 2), min(int(y), size - 2)
    fx, fy = x - left, y - top
    square = coords[:, top : top + 2, left : left + 2]
    return square @ np.array([1 - fx, fx]) @ np.array([1 - fy, fy])


def random_map(size: int) -> torch.Tensor:
    noise = torch.nn.functional.interpolate(torch.randn(1, 2, 3, 3), (size, size), mode='bicubic')
    return canonical_grid(size, size) + 0.2 * noise


def test_against_loops_over_pixels():
    a, b = random_map(6), random_map(5)
    field = match_field(IndexedCoords(a), IndexedCoords(b), T)
    first, second = a[0].double().numpy(), b[0].double().numpy()
    for i in range(6):
        for j in range(6):
            there = mean_place(first[:, i, j], second, T)
            back = mean_place(bilinear(second, there), first, T)
            start = centres(6)[i, j]
            found = field.displacement[0, :, i, j].numpy()
            assert found == pytest.approx(there - start, abs=1e-4)
            distance = float(field.cycle_distance[0, 0, i, j])
            assert distance == pytest.approx(np.linalg.norm(back - start), abs=1e-4)


@pytest.mark.parametrize('temperature', [0.0, 0.002])
def test_a_picture_that_moved_by_three_pixels(temperature):
    """What b shows at pixel j + 3 is what a shows at pixel j; three columns of a are not in b."""
    size, shift = 16, 3
    a = canonical_grid(size, size)[None]
    step = 2 / (size - 1)
    b = a - torch.tensor([shift * step, 0.0])[None, :, None, None]
    field = match_field(IndexedCoords(a), IndexedCoords(b), temperature)
    seen = field.displacement[0, :, :, : size - shift]
    assert torch.allclose(seen[0], torch.tensor(shift / size), atol=1e-3)
    assert torch.allclose(seen[1], torch.zeros(()), atol=1e-3)
    sure = confidence(field.cycle_distance[0, 0])
    assert (sure[:, : size - shift] > 0.98).all()
    # The last column comes back three pixels to the left: 3 / 16 of the side.
    assert field.cycle_distance[0, 0, 5, -1] == pytest.approx(shift / size, abs=1e-3)
    assert (sure[:, -1] == 0).all()


def test_nothing_moves_between_equal_maps_at_any_size():
    coords = IndexedCoords(canonical_grid(8, 8)[None])
    field = match_field(coords, coords, 0.0)
    for shape in ((8, 8), (30, 50), (3, 5), (1, 1)):
        matches, distance = at_size(field, *shape)
        assert matches.shape == (2, *shape) and distance.shape == shape
        x, y = to_pixels(matches, shape).numpy()
        assert np.allclose(x, np.arange(shape[1])[None], atol=1e-4)
        assert np.allclose(y, np.arange(shape[0])[:, None], atol=1e-4)
        assert distance.max() < 1e-6


def test_points_go_where_their_pixels_go():
    field = match_field(IndexedCoords(random_map(8)), IndexedCoords(random_map(8)), T)
    matches, distance = at_size(field, 8, 8)
    places = pixel_centres((8, 8), matches)[0]
    found, far = at_points(field, places.flatten(1).T)
    assert torch.allclose(found.T, matches.flatten(1), atol=1e-5)
    assert torch.allclose(far, distance.flatten(), atol=1e-5)


def test_pixels_by_hand():
    shape = (10, 40)  # height, width
    places = torch.tensor([[0.0, 0.5, 1.0], [0.0, 0.25, 1.0]])
    assert to_pixels(places, shape).T.tolist() == [[0, 0], [19.5, 2.0], [39, 9]]
    shares = to_shares(torch.tensor([[0.0, 0.0], [39.0, 9.0], [-0.5, 9.5]]), shape)
    assert torch.allclose(shares, torch.tensor([[0.0125, 0.05], [0.9875, 0.95], [0.0, 1.0]]))


def test_confidence_and_temperature_by_hand():
    sure = confidence(torch.tensor([0.0, 0.025, 0.1, 0.7]))
    assert torch.allclose(sure, torch.tensor([1.0, 0.75, 0.0, 0.0]))
    assert default_temperature(128) == 0.01 and default_temperature(32) == 0.04
