"""Matches, cycle errors and labels, against loops over pixels, by hand and SegTransferIoU."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmcoordgan.apis.cropping import whole
from mmcoordgan.apis.matching import LabelledReferences, best_class, match, pixel_centres
from mmcoordgan.apis.transfer import how_sure
from mmcoordgan.geometry import IndexedCoords, canonical_grid

T = 0.1
SIZE = 8  # of the tests of labels


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


def match_pixels(a: torch.Tensor, b: torch.Tensor, *settings):
    """Matches, cycle errors and doubts of the pixels of a's map."""
    places = pixel_centres(a.shape[-2:], a)
    return [found.numpy() for found in match(IndexedCoords(a), IndexedCoords(b), places, *settings)]


def test_against_loops_over_pixels():
    a, b = random_map(6), random_map(5)
    matches, cycle, _ = match_pixels(a, b, T)
    first, second = a[0].double().numpy(), b[0].double().numpy()
    for i in range(6):
        for j in range(6):
            there = mean_place(first[:, i, j], second, T)
            back = mean_place(bilinear(second, there), first, T)
            assert matches[:, i, j] == pytest.approx(there, abs=1e-4)
            distance = np.linalg.norm(back - centres(6)[i, j])
            assert cycle[i, j] == pytest.approx(distance, abs=1e-4)


@pytest.mark.parametrize('temperature', [0.0, 0.002])
def test_an_image_that_moved_by_three_pixels(temperature):
    """What b shows at pixel j + 3 is what a shows at pixel j; three columns of a are not in b."""
    size, shift = 16, 3
    a = canonical_grid(size, size)[None]
    step = 2 / (size - 1)
    b = a - torch.tensor([shift * step, 0.0])[None, :, None, None]
    matches, cycle, _ = match_pixels(a, b, temperature)
    moved = (np.moveaxis(matches, 0, -1) - centres(size))[:, : size - shift]
    assert np.allclose(moved, [shift / size, 0], atol=1e-3)
    assert (cycle[:, : size - shift] < 0.002).all()
    # The last column comes back three pixels to the left: 3 / 16 of the side.
    assert np.allclose(cycle[:, -1], shift / size, atol=1e-3)


def test_nothing_moves_between_equal_maps_at_any_size():
    coords = IndexedCoords(canonical_grid(8, 8)[None])
    for shape in ((8, 8), (30, 50), (3, 5), (1, 1)):
        places = pixel_centres(shape, coords.coords)
        matches, distance, _ = match(coords, coords, places, 0.0)
        assert matches.shape == (2, *shape) and distance.shape == shape
        x, y = whole(shape).to_pixels(matches).numpy()
        assert np.allclose(x, np.arange(shape[1])[None], atol=1e-4)
        assert np.allclose(y, np.arange(shape[0])[:, None], atol=1e-4)
        assert distance.max() < 1e-6


def test_doubt_by_loops():
    """The spread of what a match is a mean of, and the map errors where it starts and ends."""
    a, b = random_map(6), random_map(5)
    errors = torch.rand(1, 1, 6, 6), torch.rand(1, 1, 5, 5)
    doubts = match_pixels(a, b, T, errors)[2]
    for i, j in np.ndindex(6, 6):
        distance = np.linalg.norm(b[0].numpy() - a[0, :, i, j].numpy()[:, None, None], axis=0)
        weights = np.exp(-distance / T)[..., None] / np.exp(-distance / T).sum()
        end = (weights * centres(5)).sum((0, 1))
        spread = np.sqrt((weights * (centres(5) - end) ** 2).sum())
        error = bilinear(errors[1][0].numpy(), end)[0]
        expected = float(spread + (errors[0][0, 0, i, j] + error) / 4)
        assert doubts[i, j] == pytest.approx(expected, abs=1e-3)


def test_pixels_by_hand():
    shape = (10, 40)  # height, width
    places = torch.tensor([[0.0, 0.5, 1.0], [0.0, 0.25, 1.0]])
    assert whole(shape).to_pixels(places).T.tolist() == [[0, 0], [19.5, 2.0], [39, 9]]
    found = whole(shape).to_places(torch.tensor([[0.0, 0.0], [39.0, 9.0], [-0.5, 9.5]]))
    assert torch.allclose(found, torch.tensor([[0.0125, 0.05], [0.9875, 0.95], [0.0, 1.0]]))


def test_confidence_by_hand():
    cycle = torch.tensor([0.0, 0.025, 0.1, 0.7])
    sure, expected = how_sure(SimpleNamespace(held_out=None), cycle, cycle, None)
    assert np.allclose(sure, [1.0, 0.75, 0.0, 0.0]) and expected is None


def test_probabilities_and_classes_of_any_number():
    coords, query = (torch.rand(count, 2, SIZE, SIZE) * 2 - 1 for count in (3, 1))
    labels = np.random.default_rng(0).integers(0, 4, (3, SIZE, SIZE))
    values = np.array([0, 9, 200, 255])[labels]
    references = LabelledReferences(coords, values)
    assert references.classes.tolist() == [0, 9, 200, 255]
    soft = references.carry_to(query, T)
    plain = LabelledReferences(coords, labels).carry_to(query, T)
    assert soft.shape == (4, SIZE, SIZE) and torch.equal(soft, plain)
    assert torch.allclose(soft.sum(0), torch.ones(SIZE, SIZE), atol=1e-5)


@pytest.mark.parametrize('shape', [(SIZE, SIZE), (20, 33), (3, 5), (1, 1)])
def test_the_best_class_is_that_of_enlarged_probabilities(shape):
    soft = torch.rand(5, SIZE, SIZE)
    enlarged = F.interpolate(soft[None], shape, mode='bilinear', align_corners=False)[0]
    assert torch.equal(best_class(soft, shape), enlarged.argmax(0))


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
