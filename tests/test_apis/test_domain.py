"""Images unlike those that a model knows."""

import math
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_inversion import pictures, write_checkpoint

from mmcoordgan.apis import CoordGANInferencer
from mmcoordgan.apis.calibration import TOYFACES, calibrate, measure, read_known
from mmcoordgan.apis.domain import HeldOut, map_error
from mmcoordgan.datasets import ToyFaces
from mmcoordgan.geometry import canonical_grid


def test_a_map_that_turns_with_the_image_has_no_error():
    """Colours that are linear in x and y, read as a map."""
    images = torch.cat([0.6 * canonical_grid(48, 48), torch.zeros(1, 48, 48)])[None]
    networks = SimpleNamespace(quick_maps=lambda x: 0.5 * x[:, :2])
    assert map_error(networks, images, 0.5 * images[:, :2]).abs().max() < 1e-5


def test_a_map_that_stays_is_wrong_by_the_turn():
    """What a copy shows of a place p, at turn^-1 p, is wrong by turn^-1 p - p; 20 degrees either
    way and the scale 0.78 are equally far."""
    grid = canonical_grid(65, 65)[None]
    networks = SimpleNamespace(quick_maps=lambda x: grid)
    found = map_error(networks, torch.zeros(1, 3, 32, 32), grid)[0, 0]
    turned = complex(math.cos(math.radians(20)), math.sin(math.radians(20))) / 0.78
    for row, column in ((32, 32), (40, 32), (20, 40), (32, 10)):
        place = complex(column - 32, row - 32) / 32
        assert found[row, column] == pytest.approx(abs(turned * place - place), abs=1e-3)


def test_percentiles():
    held_out = HeldOut(tuple(number / 100 for number in range(101)))
    for score, percentile, doubtful in ((-1, 0, False), (0.985, 98.02, False), (2, 100, True)):
        found = held_out.domain(score)
        assert found.percentile == pytest.approx(percentile, abs=0.01)
        assert found.doubtful == doubtful
    assert held_out.domain(0.991).doubtful


def test_expected_errors():
    """Linear between groups of equal size, never falling."""
    doubt = np.arange(32) / 32
    error = np.repeat(np.r_[0.3, 0.1, np.linspace(0.4, 1, 14)], 2)
    doubts, errors = calibrate(doubt[::-1], error[::-1])
    assert np.allclose(doubts, (np.arange(16) * 2 + 0.5) / 32)
    assert np.allclose(errors[:3], [0.3, 0.3, 0.4]) and errors[-1] == pytest.approx(1)
    held_out = HeldOut((0.0,), tuple(doubts), tuple(errors))
    found = held_out.expected_error(torch.tensor([0.0, 3.5 / 32, 9.0]))
    assert found.tolist() == pytest.approx([0.3, 0.35, 1.0])


def test_measured_errors():
    """The bundled model carries the points of generated faces to where they are, within pixels,
    and what it expects is what is measured."""
    known = list(islice(read_known(TOYFACES), 24))
    for info in known[:5]:
        left, right = info.points[:2]
        assert 3 < right[0] - left[0] < 12 and abs(right[1] - left[1]) < 6  # the eyes
    model = CoordGANInferencer('toyfaces_32', device='cpu', show_progress=False)
    held_out = model.networks.held_out
    found = list(measure(model, known))
    doubt, error = (np.concatenate([getattr(f, k) for f in found]) for k in ('doubt', 'error'))
    assert error.mean() == pytest.approx(np.interp(doubt, *held_out[1:]).mean(), rel=0.15)
    order = np.argsort(doubt)
    assert error[order[-200:]].mean() > 1.3 * error[order[:200]].mean()
    model = CoordGANInferencer('toyfaces_32', device='cpu', show_progress=False)
    seen = ~np.isnan(known[0].points + known[1].points).any(1)
    (first,) = model.transfer_points(known[0].image, known[0].points[seen], known[1].image)
    expected = 32 * np.interp(found[0].doubt, *held_out[1:])
    assert np.allclose(first.expected_error, expected, atol=1e-3)
    assert np.allclose(first.confidence, np.maximum(0, 1 - expected / 3.2), atol=1e-3)
    errors = model.correspond(known[0].image, known[1].image).expected_error
    assert errors.shape == (32, 32) and errors.min() >= 32 * held_out.errors[0] - 1e-3


def test_the_bundled_model_knows_its_faces():
    """But no smooth colours, and not its faces upside down. Without reading the domain, or without
    numbers in the file, nothing is said."""
    model = CoordGANInferencer('toyfaces_32', device='cpu', show_progress=False)
    faces = ToyFaces(size=32, seed=2000)
    known = [faces.get_data_info(number)['img'] for number in range(40)]
    unknown = [*pictures(20, 32, 32), *(face[::-1].copy() for face in known[:20])]
    doubtful = [
        np.mean([found.domain.doubtful for found in model.iter_encode(images)])
        for images in (known, unknown)
    ]
    assert doubtful[0] <= 0.05 and doubtful[1] >= 0.9
    labels = np.zeros((32, 32), np.uint8)
    assert model.transfer_labels(known[0], labels, known[1])[0].domain is not None
    assert model.transfer_points(known[0], [[1, 2]], unknown[0])[0].domain.doubtful
    pair = model.correspond(known[0], unknown[0]).domains
    assert [domain.doubtful for domain in pair] == [False, True]
    quiet = CoordGANInferencer('toyfaces_32', device='cpu', show_progress=False, check_domain=False)
    assert quiet.encode(known[0])[0].domain is None


def test_numbers_in_files(tmp_path):
    path = tmp_path / 'x.pth'
    write_checkpoint(path)
    content = torch.load(path)
    quiet = CoordGANInferencer(path, device='cpu', show_progress=False)
    assert quiet.encode(pictures(1)[0])[0].domain is None
    for value in ({}, {'scores': [math.nan]}, 5, {'scores': [1.0], 'doubts': [1.0]}):
        torch.save({**content, 'held_out': value}, path)
        with pytest.raises(ValueError, match='cannot be used'):
            CoordGANInferencer(path, device='cpu')
