"""Matches, cycle errors and labels, against loops over pixels, by hand and SegTransferIoU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmcoordgan.apis.cropping import whole
from mmcoordgan.apis.matching import (
    LabelledReferences,
    at_places,
    best_class,
    confidence,
    match_field,
    pixel_centres,
)
from mmcoordgan.evaluation.examples import arg_max
from mmcoordgan.geometry import IndexedCoords, canonical_grid

T = 0.1
K, QUERIES, SIZE = 3, 4, 8  # of the tests of labels


def centres(size: int) -> np.ndarray:
    line = (np.arange(size) + 0.5) / size
    return np.stack(np.meshgrid(line, line), -1)  # (h, w, 2)


def mean_place(point: np.ndarray, coords: np.ndarray, temperature: float) -> np.ndarray:
    """Where a point of the frame lies in an image, by the definition of the soft transfer."""
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
def test_an_image_that_moved_by_three_pixels(temperature):
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
        matches, distance, _ = at_places(field, pixel_centres(shape, coords.coords))
        assert matches.shape == (2, *shape) and distance.shape == shape
        x, y = whole(shape).to_pixels(matches).numpy()
        assert np.allclose(x, np.arange(shape[1])[None], atol=1e-4)
        assert np.allclose(y, np.arange(shape[0])[:, None], atol=1e-4)
        assert distance.max() < 1e-6


def test_doubt_by_loops():
    """The spread of what a match is a mean of, and the map errors where it starts and ends."""
    a, b = random_map(6), random_map(5)
    errors = torch.rand(1, 1, 6, 6), torch.rand(1, 1, 5, 5)
    field = match_field(IndexedCoords(a), IndexedCoords(b), T, errors)
    for i, j in np.ndindex(6, 6):
        distance = np.linalg.norm(b[0].numpy() - a[0, :, i, j].numpy()[:, None, None], axis=0)
        weights = np.exp(-distance / T)[..., None] / np.exp(-distance / T).sum()
        match = (weights * centres(5)).sum((0, 1))
        spread = np.sqrt((weights * (centres(5) - match) ** 2).sum())
        end = bilinear(errors[1][0].numpy(), match)[0]
        expected = spread + (errors[0][0, 0, i, j] + end) / 4
        assert field.doubt[0, 0, i, j] == pytest.approx(float(expected), abs=1e-3)


def test_pixels_by_hand():
    shape = (10, 40)  # height, width
    places = torch.tensor([[0.0, 0.5, 1.0], [0.0, 0.25, 1.0]])
    assert whole(shape).to_pixels(places).T.tolist() == [[0, 0], [19.5, 2.0], [39, 9]]
    found = whole(shape).to_places(torch.tensor([[0.0, 0.0], [39.0, 9.0], [-0.5, 9.5]]))
    assert torch.allclose(found, torch.tensor([[0.0125, 0.05], [0.9875, 0.95], [0.0, 1.0]]))


def test_confidence_by_hand():
    sure = confidence(torch.tensor([0.0, 0.025, 0.1, 0.7]))
    assert torch.allclose(sure, torch.tensor([1.0, 0.75, 0.0, 0.0]))


def samples() -> tuple[torch.Tensor, np.ndarray]:
    coords = torch.rand(K + QUERIES, 2, SIZE, SIZE) * 2 - 1
    return coords, np.random.default_rng(0).integers(0, 4, (K + QUERIES, SIZE, SIZE))


def test_probabilities_and_classes_of_any_number():
    coords, labels = samples()
    values = np.array([0, 9, 200, 255])[labels]
    references = LabelledReferences(coords[:K], values[:K])
    assert references.classes.tolist() == [0, 9, 200, 255]
    soft = references.carry_to(coords[K:][:1], T)
    plain = LabelledReferences(coords[:K], labels[:K]).carry_to(coords[K:][:1], T)
    assert soft.shape == (4, SIZE, SIZE) and torch.equal(soft, plain)
    assert torch.allclose(soft.sum(0), torch.ones(SIZE, SIZE), atol=1e-5)


@pytest.mark.parametrize('shape', [(SIZE, SIZE), (20, 33), (3, 5), (1, 1)])
def test_the_best_class_is_that_of_enlarged_probabilities(shape):
    soft = torch.rand(5, SIZE, SIZE)
    enlarged = F.interpolate(soft[None], shape, mode='bilinear', align_corners=False)[0]
    assert torch.equal(best_class(soft, shape), arg_max(enlarged))


def test_ties_go_to_the_lowest_class():
    assert best_class(torch.ones(3, 4, 4), (6, 7)).max() == 0


def test_ignored_labels_carry_nothing():
    """Half of the only reference is unlabelled: its other half decides, where that is matched."""
    coords = canonical_grid(SIZE, SIZE)[None]
    labels = np.repeat([[3, 7, 255, 255]], SIZE, 0).repeat(2, 1)
    references = LabelledReferences(coords, [labels], ignore_label=255)
    assert references.classes.tolist() == [3, 7, 255]
    for temperature in (0.0, 0.05):
        soft = references.carry_to(coords, temperature)
        assert torch.allclose(soft.sum(0), torch.ones(SIZE, SIZE), atol=1e-5)
        found = references.classes[best_class(soft, (SIZE, SIZE))]
        assert (found[:, :4] == labels[:, :4]).all() and (found[:, -1] == 255).all()
    # Of two references, the one that knows decides.
    both = LabelledReferences(coords.repeat(2, 1, 1, 1), [labels, labels * 0 + 9], 255)
    found = both.classes[best_class(both.carry_to(coords, 0.0), (SIZE, SIZE))]
    assert (found[:, 4:] == 9).all()
    with pytest.raises(ValueError, match='no label but 255'):
        LabelledReferences(coords, [labels * 0 + 255], 255)
