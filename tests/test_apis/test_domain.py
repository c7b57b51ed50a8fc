"""Images unlike those that a model knows."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_inversion import SIZE, pictures, write_checkpoint

from mmcoordgan.apis import CoordGANInferencer
from mmcoordgan.apis.domain import domain_of, map_error
from mmcoordgan.datasets import ToyFaces
from mmcoordgan.geometry import canonical_grid


def test_a_map_that_turns_with_the_image_has_no_error():
    """Colours that are linear in x and y, read as a map."""
    images = torch.cat([0.6 * canonical_grid(48, 48), torch.zeros(1, 48, 48)])[None]
    networks = SimpleNamespace(invert=lambda x: SimpleNamespace(coords=0.5 * x[:, :2]))
    assert map_error(networks, images, 0.5 * images[:, :2]).item() == pytest.approx(0, abs=1e-5)


def test_a_map_that_stays_is_wrong_by_the_turn():
    """By 20 degrees and the scale 0.78, pixel by pixel."""
    grid = canonical_grid(SIZE, SIZE)[None]
    networks = SimpleNamespace(invert=lambda x: SimpleNamespace(coords=grid))
    x, y = grid[0].double()
    error = torch.hypot(
        x - 0.78 * (math.cos(math.radians(20)) * x - math.sin(math.radians(20)) * y),
        y - 0.78 * (math.sin(math.radians(20)) * x + math.cos(math.radians(20)) * y),
    )
    found = map_error(networks, torch.zeros(1, 3, 32, 32), grid)
    assert found.item() == pytest.approx(error.mean().item(), abs=1e-4)


def test_percentiles():
    hundredths = [number / 100 for number in range(101)]
    for score, percentile, doubtful in ((-1, 0, False), (0.985, 98.02, False), (2, 100, True)):
        found = domain_of(score, hundredths)
        assert found.percentile == pytest.approx(percentile, abs=0.01)
        assert found.doubtful == doubtful
    assert domain_of(0.991, hundredths).doubtful


def test_the_bundled_model_knows_its_faces():
    """But no smooth colours, and not its faces upside down. Without reading the domain, or without
    quantiles in the file, nothing is said."""
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


def test_quantiles_in_files(tmp_path):
    path = tmp_path / 'x.pth'
    write_checkpoint(path)
    content = torch.load(path)
    quiet = CoordGANInferencer(path, device='cpu', show_progress=False)
    assert quiet.encode(pictures(1)[0])[0].domain is None
    for value in ([], [math.nan], ['a'], 5):
        torch.save({**content, 'domain_quantiles': value}, path)
        with pytest.raises(ValueError, match='cannot be used'):
            CoordGANInferencer(path, device='cpu')
